# Language level, warnings as errors for our own code, sanitizers, ccache.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(CMAKE_BUILD_TYPE STREQUAL "Release")
    # Bugs must stop the program in release too, so NDEBUG only strips DG_DCHECK.
    set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
endif()

find_program(DG_CCACHE ccache)
if(DG_CCACHE)
    set(CMAKE_C_COMPILER_LAUNCHER ${DG_CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${DG_CCACHE})
endif()

# Linked by every target of ours; third-party headers come in as SYSTEM and stay silent.
add_library(dg_compile_flags INTERFACE)
target_compile_options(dg_compile_flags INTERFACE
    "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wnon-virtual-dtor;-Wold-style-cast;-Wcast-align;-Woverloaded-virtual;-Wimplicit-fallthrough;-Werror;-fno-omit-frame-pointer;-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=>")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    # Highway's NEON target includes the AES instructions and names them to the compiler by pragma;
    # constructors that GCC adds by itself escape the pragma and then cannot be inlined.
    target_compile_options(dg_compile_flags INTERFACE -march=armv8-a+crypto)
endif()
if(DG_SANITIZE)
    # Instrumented code confuses GCC 12's flow analysis, and Asio's fences are unknown to tsan; the
    # uninstrumented build keeps the warnings.
    target_compile_options(dg_compile_flags INTERFACE -fsanitize=${DG_SANITIZE}
        -fno-sanitize-recover=all "$<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized;-Wno-tsan>")
    target_link_options(dg_compile_flags INTERFACE -fsanitize=${DG_SANITIZE})
endif()
target_include_directories(dg_compile_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
