"""Evidence: the Pyramid Attention Network on a narrow ResNet-18."""
_base_ = '../../_base_/evidence_camvid.py'
