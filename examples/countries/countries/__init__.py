"""Countries, subdivisions and currencies, as pycountry knows them."""
