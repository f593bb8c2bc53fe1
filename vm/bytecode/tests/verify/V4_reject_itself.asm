; a constant that holds itself
.constants
  k0: [k0]
