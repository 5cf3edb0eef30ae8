#include "app/console_files.h"

#include <array>

#include "app/embedded_files.h"
#include "base/http/server.h"

namespace app {
namespace {

constexpr std::array<std::string_view, 9> kApiPrefixes = {
    "/v1",     "/admin",   "/tokenize",     "/detokenize", "/healthz",
    "/readyz", "/metrics", "/openapi.json", "/api"};

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view without_quotes(std::string_view etag) {
    return etag.size() >= 2 && etag.front() == '"' ? etag.substr(1, etag.size() - 2) : etag;
}

std::vector<std::string> absolute_paths() {
    std::vector<std::string> paths;
    for (const EmbeddedFile& file : console_files()) paths.push_back("/" + std::string(file.path));
    return paths;
}

std::vector<base::http::StaticFile> as_static(const std::vector<std::string>& paths) {
    std::vector<base::http::StaticFile> files;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        const EmbeddedFile& file = console_files()[i];
        files.push_back({.path = paths[i],
                         .mime = file.mime,
                         .bytes = as_text(file.raw),
                         .gzip_bytes = as_text(file.gzip),
                         .etag = without_quotes(file.etag)});
    }
    return files;
}

base::http::StaticFilesOptions static_options() {
    base::http::StaticFilesOptions options;
    options.api_prefixes = kApiPrefixes;
    return options;
}

}  // namespace

ConsoleFiles::ConsoleFiles()
    : paths_(absolute_paths()), files_(as_static(paths_)), handler_(files_, static_options()) {}

void ConsoleFiles::serve_on(base::http::Server& server) const {
    server.router().set_fallback(handler_.handler());
}

}  // namespace app
