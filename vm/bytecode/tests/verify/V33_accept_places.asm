; of fields of the module and of others
.fields
  f0: a.b
.known
  a: object
  a.b: scalar
  a.c: list answered
  a."b.c": any answered
  a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a: any
