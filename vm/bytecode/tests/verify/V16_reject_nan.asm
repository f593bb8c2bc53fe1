; comparisons have no answer for it
.constants
  k0: nan:7ff8000000000000
