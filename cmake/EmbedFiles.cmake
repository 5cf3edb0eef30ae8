# dg_embed_files(<target> SYMBOL <name> [DIR <folder>] [FALLBACK <folder>] [FILES <file>...] [NO_GZIP])
#   Adds the files to <target> as read-only data and defines, in namespace app::embedded,
#   `std::span<const EmbeddedFile> <name>()` (src/app/embedded_files.h has the type).
#   DIR is scanned at each build, not at configure time: a folder that appears or changes is
#   embedded by the next build, and an unchanged one costs the scan alone. FALLBACK serves while
#   DIR has no index.html. The bytes go through the assembler's .incbin, since a C array of the
#   same size takes the compiler minutes.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

set(DG_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed_files.py)

function(dg_embed_files target)
    cmake_parse_arguments(ARG "NO_GZIP" "SYMBOL;DIR;FALLBACK" "FILES" ${ARGN})
    set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded)
    set(stem ${out}/${ARG_SYMBOL})
    set(arguments --symbol ${ARG_SYMBOL} --out ${out})
    if(ARG_DIR)
        list(APPEND arguments --dir ${ARG_DIR})
    endif()
    if(ARG_FALLBACK)
        list(APPEND arguments --fallback ${ARG_FALLBACK})
    endif()
    if(ARG_NO_GZIP)
        list(APPEND arguments --no-gzip)
    endif()
    # The script leaves unchanged outputs untouched, so running it always rebuilds nothing.
    add_custom_target(embed_${ARG_SYMBOL}
        COMMAND ${Python3_EXECUTABLE} ${DG_EMBED_SCRIPT} ${arguments} ${ARG_FILES}
        BYPRODUCTS ${stem}.bin ${stem}.S ${stem}.cc
        COMMENT "" VERBATIM)
    set_source_files_properties(${stem}.S PROPERTIES OBJECT_DEPENDS ${stem}.bin)
    set_source_files_properties(${stem}.S ${stem}.cc PROPERTIES GENERATED TRUE)
    target_sources(${target} PRIVATE ${stem}.S ${stem}.cc)
    add_dependencies(${target} embed_${ARG_SYMBOL})
endfunction()
