; `9007199254740993.0` is no decimal
.constants
  k0: decimal "9007199254740993.0"
