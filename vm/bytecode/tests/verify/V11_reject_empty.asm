; a function without code
.function fn0
