; one more than allowed
.function fn0 builders=17
    ret_true
