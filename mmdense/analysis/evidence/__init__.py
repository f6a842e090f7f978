"""A method against its baseline: trained alike, compared seed by seed."""
from mmdense.analysis.evidence.definitions import *  # noqa: F403
from mmdense.analysis.evidence.differences import *  # noqa: F403
from mmdense.analysis.evidence.pages import *  # noqa: F403
from mmdense.analysis.evidence.report import *  # noqa: F403
from mmdense.analysis.evidence.results import *  # noqa: F403
from mmdense.analysis.evidence.runs import *  # noqa: F403
from mmdense.analysis.evidence.tables import *  # noqa: F403
