/* The program that parses documents, carried inside ours. DG_DOCUMENT_WORKER is its file, given by
   the build. */
    .section .rodata
    .balign 64
    .global dg_document_worker_begin
    .global dg_document_worker_end
dg_document_worker_begin:
    .incbin DG_DOCUMENT_WORKER
dg_document_worker_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
