"""How it is computed: kernels, schedules, emitters and run times."""
