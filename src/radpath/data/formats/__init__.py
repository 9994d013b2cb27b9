"""One module a file format: headers without decoding, and samples exactly as the file means them."""

import logging

# tifffile and libpng (imagecodecs) log what they find odd in a file; what matters of it is refused here with a reason.
# A handler that does nothing keeps the rest off the screen, and leaves a program's own logging as it is.
for _library in ("imagecodecs", "tifffile"):
    logging.getLogger(_library).addHandler(logging.NullHandler())
