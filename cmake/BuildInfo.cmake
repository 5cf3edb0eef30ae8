# dg_build_info(<target>)
#   Adds a source that knows the version, the git commit and the compiler (src/app/build_info.h).
#   The commit is asked at each build and written only when it changed, so that a new commit
#   recompiles one small file. Outside a git checkout it is "unknown".
function(dg_build_info target)
    set(out ${CMAKE_CURRENT_BINARY_DIR}/build_info.cc)
    add_custom_target(${target}_build_info
        COMMAND ${CMAKE_COMMAND} -DOUT=${out} -DSOURCE_DIR=${CMAKE_SOURCE_DIR}
            -DVERSION=${PROJECT_VERSION} -DBUILD_TYPE=${CMAKE_BUILD_TYPE}
            "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
            -P ${CMAKE_SOURCE_DIR}/cmake/write_build_info.cmake
        BYPRODUCTS ${out} COMMENT "" VERBATIM)
    set_source_files_properties(${out} PROPERTIES GENERATED TRUE)
    target_sources(${target} PRIVATE ${out})
    add_dependencies(${target} ${target}_build_info)
endfunction()
