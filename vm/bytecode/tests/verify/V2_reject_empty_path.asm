; a field that is nowhere
.fields
  f0: ()
