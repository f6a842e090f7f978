"""The papers' figures as plain ``nn.Module``: torch and mmdense.ops only."""
