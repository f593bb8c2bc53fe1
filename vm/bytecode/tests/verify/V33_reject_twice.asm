; both cannot be so
.known
  a: list
  b: list
  a: scalar
