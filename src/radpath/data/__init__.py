"""A folder becomes batches: scan, labels, verification, split, audit, pixels, preparation, buckets, batches."""
