"""The PaNOSC search API, served: https://github.com/panosc-eu/search-api (BSD-2-Clause), read-only and anonymous."""
