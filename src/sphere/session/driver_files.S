/* The drivers' programs, carried inside ours. The build names their folder. */
    .section .rodata
    .global dg_python_driver_begin, dg_python_driver_end, dg_node_driver_begin, dg_node_driver_end
    .global dg_bash_driver_begin, dg_bash_driver_end
dg_python_driver_begin:
    .incbin "python_driver.py"
dg_python_driver_end:
dg_node_driver_begin:
    .incbin "node_driver.js"
dg_node_driver_end:
dg_bash_driver_begin:
    .incbin "bash_driver.sh"
dg_bash_driver_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
