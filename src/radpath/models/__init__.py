"""A batch becomes features and logits: backbones, masks, heads, freezing, weights."""
