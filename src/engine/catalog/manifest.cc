#include "engine/catalog/manifest.h"

#include "base/files/files.h"
#include "base/json/json.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr int kManifestVersion = 1;

Result<std::string> string_field(const std::string& path, const base::json::object& object,
                                 std::string_view key) {
    const base::json::value* value = object.if_contains(key);
    if (value == nullptr || !value->is_string()) {
        return fail_on(path, Code::data_loss, "{}: has no string `{}`; remove it and pull again",
                       path, key);
    }
    return std::string(value->get_string());
}

Result<ManifestFile> parse_file(const std::string& path, const base::json::value& value) {
    if (!value.is_object()) {
        return fail_on(path, Code::data_loss, "{}: an element of `files` is no object", path);
    }
    const base::json::object& object = value.get_object();
    ManifestFile file;
    file.name = DG_TRY(string_field(path, object, "name"));
    file.sha256 = DG_TRY(string_field(path, object, "sha256"));
    const base::json::value* bytes = object.if_contains("bytes");
    const bool good = bytes != nullptr && bytes->is_int64() && bytes->get_int64() >= 0 &&
                      file.name.find('/') == std::string::npos;
    if (!good) {
        return fail_on(path, Code::data_loss, "{}: `files` names {} wrongly", path, file.name);
    }
    file.bytes = static_cast<std::uint64_t>(bytes->get_int64());
    return file;
}

}  // namespace

std::string manifest_path(const std::string& first_file_path) {
    return first_file_path + ".manifest.json";
}

Result<std::optional<Manifest>> read_manifest(const std::string& first_file_path) {
    const std::string path = manifest_path(first_file_path);
    if (!base::path_exists(path)) return std::optional<Manifest>();
    const base::json::value json = DG_TRY(base::parse_json_file(path));
    const base::json::object* object = json.if_object();
    const base::json::value* files = object ? object->if_contains("files") : nullptr;
    if (files == nullptr || !files->is_array() || files->get_array().empty()) {
        return fail_on(path, Code::data_loss, "{}: has no array `files`; remove it and pull again",
                       path);
    }
    Manifest manifest;
    manifest.name = DG_TRY(string_field(path, *object, "name"));
    manifest.source = DG_TRY(string_field(path, *object, "source"));
    for (const base::json::value& file : files->get_array()) {
        manifest.files.push_back(DG_TRY(parse_file(path, file)));
    }
    return std::optional<Manifest>(std::move(manifest));
}

Result<void> write_manifest(const std::string& first_file_path, const Manifest& manifest) {
    base::json::array files;
    for (const ManifestFile& file : manifest.files) {
        files.push_back(base::json::object{
            {"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
    }
    const base::json::object object{{"version", kManifestVersion},
                                    {"name", manifest.name},
                                    {"source", manifest.source},
                                    {"files", std::move(files)}};
    return base::write_file_atomically(manifest_path(first_file_path),
                                       base::to_text(object) + "\n");
}

}  // namespace engine
