#include "app/embedded_files.h"

#include <algorithm>

namespace app {

// Defined by the generated tables; see dg_embed_files() calls in src/CMakeLists.txt.
namespace embedded {
std::span<const EmbeddedFile> console();
std::span<const EmbeddedFile> smoke();
std::span<const EmbeddedFile> encoder();
}  // namespace embedded

std::span<const EmbeddedFile> console_files() {
    return embedded::console();
}

const EmbeddedFile* find_console_file(std::string_view url_path) {
    while (url_path.starts_with('/')) url_path.remove_prefix(1);
    if (url_path.empty()) url_path = "index.html";
    const auto files = console_files();
    const auto at = std::ranges::lower_bound(files, url_path, {}, &EmbeddedFile::path);
    return at != files.end() && at->path == url_path ? &*at : nullptr;
}

std::span<const std::byte> smoke_model() {
    return embedded::smoke().front().raw;
}

std::span<const std::byte> encoder_model() {
    return embedded::encoder().front().raw;
}

}  // namespace app
