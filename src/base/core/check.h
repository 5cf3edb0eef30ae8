#pragma once
// Bugs end the process, in release too: going on might acknowledge a lie. Never check input or the
// environment with these; those fail with a Result.

#include <string_view>

namespace base {
/// Prints where and what to stderr, then aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view message);
}  // namespace base

#define DG_CHECK(condition, ...)                                                                 \
    do {                                                                                         \
        if (!(condition)) [[unlikely]]                                                           \
            ::base::check_failed(__FILE__, __LINE__, #condition, std::string_view{__VA_ARGS__}); \
    } while (false)

/// For inner loops: only in builds without NDEBUG.
#ifdef NDEBUG
#define DG_DCHECK(condition, ...)               \
    do {                                        \
        static_cast<void>(sizeof((condition))); \
    } while (false)
#else
#define DG_DCHECK(condition, ...) DG_CHECK(condition __VA_OPT__(, ) __VA_ARGS__)
#endif
