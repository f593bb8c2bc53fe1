; `0.5` is no decimal
.constants
  k0: decimal "0.5"
