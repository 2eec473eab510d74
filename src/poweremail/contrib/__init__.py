"""Parts for frameworks. The library itself imports none of them."""
