"""One module a file format: headers without decoding, and samples exactly as the file means them."""
