# Called by dg_build_info() at each build; see cmake/BuildInfo.cmake.
set(commit unknown)
find_package(Git QUIET)
if(GIT_FOUND)
    execute_process(COMMAND ${GIT_EXECUTABLE} describe --always --dirty --abbrev=12 --exclude=*
        WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE found ERROR_QUIET
        OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status)
    if(status EQUAL 0)
        set(commit ${found})
    endif()
endif()
set(text "// Written by cmake/write_build_info.cmake.
#include \"app/build_info.h\"

namespace app {
const BuildInfo& build_info() {
    static const BuildInfo info{\"${VERSION}\", \"${commit}\", \"${COMPILER}\", \"${BUILD_TYPE}\"};
    return info;
}
}  // namespace app
")
set(before "")
if(EXISTS ${OUT})
    file(READ ${OUT} before)
endif()
if(NOT text STREQUAL before)
    file(WRITE ${OUT} "${text}")
endif()
