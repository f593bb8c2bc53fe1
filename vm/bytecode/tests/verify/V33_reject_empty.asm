; the whole request is an object in any case
.known
  (): object
