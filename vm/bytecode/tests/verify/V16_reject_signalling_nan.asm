; any of them
.constants
  k0: nan:fff0000000000001
