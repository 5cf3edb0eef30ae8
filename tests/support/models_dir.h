#pragma once
// Models too large for the repository. A test that wants one and does not find it says loudly that
// it did not run.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace test {

/// A file in DG_MODELS_DIR (default ~/.cache/dougong/models).
inline std::optional<std::string> cached_model(const std::string& file) {
    const char* folder = std::getenv("DG_MODELS_DIR");
    const char* home = std::getenv("HOME");
    const std::string path =
        (folder ? std::string(folder) : std::string(home ? home : "") + "/.cache/dougong/models") +
        "/" + file;
    if (std::filesystem::exists(path)) return path;
    std::printf(
        "\n*** SKIPPED: %s is not there, so this comparison was NOT made. `make run` fetches "
        "the default model; docs in tests/golden/engine/README.md tell about others. ***\n\n",
        path.c_str());
    return std::nullopt;
}

/// A folder of published weights under DG_SHARED_MODELS (default ../shared/models beside the
/// repository).
inline std::optional<std::string> shared_model(const std::string& folder) {
    const char* shared = std::getenv("DG_SHARED_MODELS");
    const std::string path =
        (shared ? std::string(shared) : std::string(DG_SOURCE_DIR "/../shared/models")) + "/" +
        folder;
    if (std::filesystem::exists(path)) return path;
    std::printf("\n*** SKIPPED: %s is not there, so this comparison was NOT made. ***\n\n",
                path.c_str());
    return std::nullopt;
}

}  // namespace test
