"""Spatial Shortcut Network with the plainer reading of its early predictors.

They are the other predictors behind one more convolution: option A of the
README, 0.07 M parameters more than the printed table has room for.
"""
_base_ = 'td-hm_ssn-res50_1xb16-400k_coco-256x192.py'

model = dict(head=dict(early='heatmaps'))
