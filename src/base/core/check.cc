#include "base/core/check.h"

#include <cstdio>
#include <cstdlib>

namespace base {

void check_failed(const char* file, int line, const char* condition, std::string_view message) {
    std::fprintf(stderr, "dougong: bug at %s:%d: %s is false%s%.*s\n", file, line, condition,
                 message.empty() ? "" : ": ", static_cast<int>(message.size()), message.data());
    std::fflush(stderr);
    std::abort();
}

}  // namespace base
