/* The launcher's program, carried inside ours. DG_LAUNCHER is its file, given by the build. */
    .section .rodata
    .balign 64
    .global dg_launcher_begin
    .global dg_launcher_end
dg_launcher_begin:
    .incbin DG_LAUNCHER
dg_launcher_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
