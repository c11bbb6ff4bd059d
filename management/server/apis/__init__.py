"""The families of API messages. Every module here is found by its presence; nothing lists them."""
