#include "engine/catalog/catalog.h"

#include <algorithm>
#include <filesystem>

#include "base/files/file_error.h"
#include "base/files/files.h"
#include "base/files/sha256.h"
#include "engine/catalog/folder.h"
#include "engine/catalog/manifest.h"
#include "engine/model_files/gguf.h"

namespace engine {

namespace fs = std::filesystem;
using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::uint32_t kRangesParallelMax = 16;
constexpr std::size_t kShownElements = 4;
constexpr std::size_t kShownCharacters = 120;

/// A string as one short printable line.
std::string shorten(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < ' ') c = ' ';
    }
    if (text.size() <= kShownCharacters) return text;
    std::size_t end = kShownCharacters;
    // Not inside a UTF-8 character.
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80u) --end;
    return text.substr(0, end) + "...";
}

std::string show_array(const GgufFile& file, const GgufEntry& entry) {
    std::string shown = fmt::format("{} x {}", entry.count, gguf_type_name(entry.element_type));
    if (entry.element_type != GgufType::string) return shown;
    const auto strings = file.get_strings(entry.key);
    if (!strings) return shown;
    for (std::size_t i = 0; i < std::min(kShownElements, strings->size()); ++i) {
        shown += fmt::format("{}{}", i == 0 ? ": " : ", ", shorten((*strings)[i]));
    }
    return shown;
}

std::string show_value(const GgufFile& file, const GgufEntry& entry) {
    switch (entry.type) {
        case GgufType::array:
            return show_array(file, entry);
        case GgufType::string:
            return shorten(file.get_string(entry.key).value_or(""));
        case GgufType::boolean:
            return file.get_bool(entry.key).value_or(false) ? "true" : "false";
        case GgufType::f32:
        case GgufType::f64:
            return fmt::format("{}", file.get_f32(entry.key).value_or(0.f));
        default:
            break;
    }
    if (const auto value = file.get_u64(entry.key)) return fmt::format("{}", *value);
    return fmt::format("{}", file.get_f32(entry.key).value_or(0.f));  // negative integers
}

MetadataSummary summarise(const GgufFile& file, const GgufEntry& entry) {
    return {std::string(entry.key), std::string(gguf_type_name(entry.type)),
            show_value(file, entry)};
}

TensorSummary summarise(const TensorView& tensor) {
    TensorSummary summary{
        tensor.name, std::string(tensor_type_name(tensor.type)), {}, tensor.bytes()};
    std::size_t dims = tensor.dims.size();
    while (dims > 1 && tensor.dims[dims - 1] == 1) --dims;
    summary.dims.assign(tensor.dims.begin(),
                        tensor.dims.begin() + static_cast<std::ptrdiff_t>(dims));
    return summary;
}

bool is_called(const CatalogEntry& entry, std::string_view name) {
    const fs::path path(entry.path);
    return entry.name == name || path.filename() == name || path.stem() == name ||
           entry.path == name;
}

std::unexpected<base::Error> no_such_model(std::string_view name,
                                           const std::vector<CatalogEntry>& entries) {
    std::string names;
    for (const CatalogEntry& entry : entries) {
        names += names.empty() ? entry.name : ", " + entry.name;
    }
    return fail_on(std::string(name), Code::not_found,
                   "there is no model `{}` here (there is: {}); fetch one with `dougong models "
                   "pull {}`",
                   name, names.empty() ? "none" : names, name);
}

}  // namespace

bool VerifyReport::ok() const {
    return std::ranges::all_of(files, &FileCheck::ok);
}

Catalog::Catalog(CatalogOptions options) : options_(std::move(options)) {}

Result<Catalog> Catalog::open(CatalogOptions options) {
    if (options.models_dir.empty()) {
        return fail_on("models_dir", Code::invalid_argument, "models_dir is empty; name a folder");
    }
    const auto in_range = [](std::string_view field, std::uint64_t value, std::uint64_t min,
                             std::uint64_t max) -> Result<void> {
        if (value >= min && value <= max) return {};
        return fail_on(std::string(field), Code::invalid_argument, "{} is {}, expected {} to {}",
                       field, value, min, max);
    };
    DG_TRY(in_range("ranges_parallel", options.ranges_parallel, 1, kRangesParallelMax));
    DG_TRY(in_range("range_bytes", options.range_bytes, 1024, 1ull << 40));
    DG_TRY(in_range("attempts_max", options.attempts_max, 1, 1000));
    while (options.hub_url.ends_with('/')) options.hub_url.pop_back();
    while (options.models_dir.size() > 1 && options.models_dir.ends_with('/')) {
        options.models_dir.pop_back();
    }
    // Models, manifests and states of downloads that a killed run left half-written.
    base::remove_abandoned(options.models_dir, [](std::string_view target) {
        return target.ends_with(".gguf") || target.ends_with(".json");
    });
    return Catalog(std::move(options));
}

Result<std::vector<CatalogEntry>> Catalog::list() const {
    return read_folder(options_.models_dir);
}

Result<CatalogEntry> Catalog::find(std::string_view name) const {
    const std::vector<CatalogEntry> entries = DG_TRY(list());
    std::vector<CatalogEntry> found;
    std::ranges::copy_if(entries, std::back_inserter(found),
                         [&](const CatalogEntry& entry) { return is_called(entry, name); });
    if (found.size() == 1) return found.front();
    if (found.size() > 1) {
        return fail_on(std::string(name), Code::invalid_argument,
                       "`{}` means both {} and {}; give the path of one", name, found[0].path,
                       found[1].path);
    }
    std::error_code cannot_tell;  // a name that is too long, a folder that is not ours
    if (name.find('/') != std::string_view::npos && fs::is_regular_file(name, cannot_tell)) {
        return read_entry(std::string(name));
    }
    return no_such_model(name, entries);
}

Result<ModelDetails> Catalog::inspect(std::string_view name) const {
    ModelDetails details;
    details.entry = DG_TRY(find(name));
    const GgufFile file = DG_TRY(GgufFile::open(details.entry.path));
    details.info = DG_TRY(read_model_info(file));
    for (const GgufEntry& entry : file.metadata()) {
        details.metadata.push_back(summarise(file, entry));
    }
    for (const TensorView& tensor : file.tensors()) details.tensors.push_back(summarise(tensor));
    return details;
}

Result<VerifyReport> Catalog::verify(std::string_view name, const PullProgressFn& progress) const {
    const CatalogEntry entry = DG_TRY(find(name));
    const auto manifest = DG_TRY(read_manifest(entry.path));
    VerifyReport report;
    report.recorded = manifest.has_value();
    PullProgress at;
    at.stage = "verify";
    at.bytes_total = entry.bytes;
    std::uint64_t before = 0;
    for (const std::string& path : entry.files) {
        FileCheck check;
        check.path = path;
        at.file = path;
        const auto on_bytes = [&](std::uint64_t bytes) {
            check.bytes = bytes;
            at.bytes_done = before + bytes;
            return !progress || progress(at);
        };
        check.found = DG_TRY(base::sha256_file(path, on_bytes));
        before += check.bytes;
        if (manifest) {
            const auto recorded = std::ranges::find(
                manifest->files, fs::path(path).filename().string(), &ManifestFile::name);
            if (recorded != manifest->files.end()) check.expected = recorded->sha256;
        }
        report.recorded = report.recorded && !check.expected.empty();
        report.files.push_back(std::move(check));
    }
    return report;
}

Result<void> Catalog::remove(std::string_view name) {
    const CatalogEntry entry = DG_TRY(find(name));
    std::error_code error;
    const fs::path folder = fs::path(entry.path).parent_path();
    if (!fs::equivalent(folder, options_.models_dir, error) || error) {
        return fail_on(entry.path, Code::permission_denied, "{} is not in {}; remove it yourself",
                       entry.path, options_.models_dir);
    }
    for (const std::string& path : entry.files) {
        if (!fs::remove(path, error) && error) {
            return base::fail_errno(error.value(), "remove", path);
        }
    }
    fs::remove(manifest_path(entry.path), error);
    if (error) return base::fail_errno(error.value(), "remove", manifest_path(entry.path));
    return base::sync_dir(options_.models_dir);
}

}  // namespace engine
