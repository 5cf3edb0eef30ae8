#pragma once
// Files carried inside the program: the console's pages and the smoke-test model. The bytes are put
// there by dg_embed_files() (cmake/EmbedFiles.cmake) and live as long as the process.

#include <cstddef>
#include <span>
#include <string_view>

namespace app {

struct EmbeddedFile {
    std::string_view path;            ///< Relative, no leading slash: "index.html", "assets/x.js".
    std::string_view mime;            ///< Content-Type, with charset for text.
    std::string_view etag;            ///< Quoted, made of the content's SHA-256.
    std::span<const std::byte> raw;   ///< 64-byte aligned.
    std::span<const std::byte> gzip;  ///< Packed at build time; empty where packing gains nothing.
    bool immutable;                   ///< The name carries a content hash: cache it for ever.
};

/// The console's built pages, or one page that says how to build them. Sorted by path; always has
/// "index.html".
std::span<const EmbeddedFile> console_files();

/// The file served for a URL path: "/" is index.html. Null when there is none.
const EmbeddedFile* find_console_file(std::string_view url_path);

/// stories260K, a whole GGUF file: for smoke tests, and for when no other model can be had.
std::span<const std::byte> smoke_model();

/// use-lite-en at 8 bits, a whole GGUF file: gives memories their vectors when no other model is
/// configured. English.
std::span<const std::byte> encoder_model();

}  // namespace app
