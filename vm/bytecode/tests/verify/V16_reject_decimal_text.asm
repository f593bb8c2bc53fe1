; `abc` is no decimal
.constants
  k0: decimal "abc"
