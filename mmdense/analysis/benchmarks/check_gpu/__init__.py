"""The operators' kernels on a GPU: tests, accuracy and speed in one call.

``plan`` hands items to processes of ``worker`` and keeps to a budget;
``device_tests``, ``accuracy`` and ``speed`` are the items; ``report`` writes
what came out.

None of these files needs OpenMMLab: a machine with torch, Triton and pytest is
enough. ``plan`` and ``report`` do without torch too: the budget runs while it
loads.
"""
