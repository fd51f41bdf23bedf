"""The stand-ins, laid out as on the service. They import each other relatively, which works in both layouts."""
