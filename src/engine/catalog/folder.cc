#include "engine/catalog/folder.h"

#include <algorithm>
#include <filesystem>

#include "engine/catalog/manifest.h"
#include "engine/model_files/shards.h"

namespace engine {

namespace fs = std::filesystem;
using base::Code;
using base::fail_on;
using base::Result;

Result<CatalogEntry> read_entry(const std::string& path) {
    CatalogEntry entry;
    entry.path = path;
    entry.name = fs::path(path).stem().string();
    const fs::path folder = fs::path(path).parent_path();
    for (const std::string& name : shard_names(fs::path(path).filename().string())) {
        const std::string file = (folder / name).string();
        std::error_code error;
        const std::uintmax_t bytes = fs::file_size(file, error);
        if (error) {
            return fail_on(file, Code::not_found, "{}: {}; pull the model again", file,
                           error.message());
        }
        entry.bytes += bytes;
        entry.files.push_back(file);
    }
    // A damaged manifest loses what was recorded, not the model; verify says so.
    const auto manifest = read_manifest(path);
    if (manifest && manifest->has_value()) {
        entry.name = (*manifest)->name;
        entry.source = (*manifest)->source;
        entry.sha256 = (*manifest)->files.front().sha256;
    }
    return entry;
}

Result<std::vector<CatalogEntry>> read_folder(const std::string& folder) {
    std::vector<CatalogEntry> entries;
    std::error_code error;
    if (!fs::exists(folder, error)) return entries;
    fs::directory_iterator files(folder, error);
    if (error) {
        return fail_on(folder, Code::permission_denied, "cannot read folder {}: {}", folder,
                       error.message());
    }
    for (; files != fs::directory_iterator(); files.increment(error)) {
        const fs::directory_entry& file = *files;
        const std::string name = file.path().filename().string();
        if (file.path().extension() != ".gguf" || shard_names(name).front() != name) continue;
        if (auto entry = read_entry(file.path().string())) entries.push_back(*std::move(entry));
    }
    std::ranges::sort(entries, {},
                      [](const CatalogEntry& entry) { return std::pair(entry.name, entry.path); });
    return entries;
}

}  // namespace engine
