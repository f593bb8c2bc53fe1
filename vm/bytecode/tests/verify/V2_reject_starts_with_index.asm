; the request is an object
.fields
  f0: [0].a
