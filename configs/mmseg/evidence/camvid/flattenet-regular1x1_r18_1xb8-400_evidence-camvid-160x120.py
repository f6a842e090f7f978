"""Evidence: FlatteNet with dense 1x1 convolutions, as Table II has them."""
_base_ = './flattenet_r18_1xb8-400_evidence-camvid-160x120.py'
model = dict(
    neck=dict(layers=[
        dict(regular=True, multiplier=2),
        dict(regular=True, multiplier=16)
    ]))
