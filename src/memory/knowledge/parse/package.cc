#include "memory/knowledge/parse/package.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <vector>

namespace memory::knowledge::parse {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::size_t kFilesMax = 20'000;
constexpr int kDepthMax = 400;
/// Text and XML pack to a twentieth; a bomb to a thousandth.
constexpr std::uint64_t kRatioMax = 150, kRatioFree = 8u << 20;

struct ArchiveClose {
    void operator()(archive* open) const { ::archive_read_free(open); }
};
using Archive = std::unique_ptr<archive, ArchiveClose>;

std::unexpected<base::Error> damaged(archive* zip) {
    const char* why = ::archive_error_string(zip);
    return fail(Code::invalid_argument, "the document's ZIP is damaged: {}; save it again",
                why == nullptr ? "it cannot be read" : why);
}

Result<void> check_depth(const pugi::xml_document& document, const std::string& name) {
    int depth = 0;
    for (pugi::xml_node node = document.first_child(); node;) {
        if (pugi::xml_node inner = node.first_child()) {
            node = inner;
            if (++depth > kDepthMax) {
                return fail(Code::invalid_argument, "{} nests deeper than {} elements", name,
                            kDepthMax);
            }
            continue;
        }
        while (node && !node.next_sibling()) {
            node = node.parent();
            --depth;
        }
        if (node) node = node.next_sibling();
    }
    return {};
}

/// "../media/a.xml" beside "xl/worksheets/sheet1.xml".
std::string resolve(const std::string& from, std::string_view target) {
    if (target.starts_with('/')) return std::string(target.substr(1));
    std::vector<std::string_view> steps;
    const auto add = [&](std::string_view path) {
        while (!path.empty()) {
            const std::string_view step = path.substr(0, path.find('/'));
            path.remove_prefix(std::min(path.size(), step.size() + 1));
            if (step == "..") {
                if (!steps.empty()) steps.pop_back();
            } else if (step != "." && !step.empty()) {
                steps.push_back(step);
            }
        }
    };
    const std::size_t folder = from.rfind('/');
    if (folder != std::string::npos) add(std::string_view(from).substr(0, folder));
    add(target);
    std::string out;
    for (const std::string_view step : steps) out += (out.empty() ? "" : "/") + std::string(step);
    return out;
}

}  // namespace

Result<Package> Package::open(std::string_view bytes, const ParseRequest& request,
                              const std::function<bool(std::string_view)>& wanted) {
    const Archive zip(::archive_read_new());
    ::archive_read_support_format_zip_seekable(zip.get());
    if (::archive_read_open_memory(zip.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
        return damaged(zip.get());
    }
    Package package;
    std::size_t files = 0;
    std::uint64_t unpacked = 0;
    for (;;) {
        archive_entry* entry = nullptr;
        const int next = ::archive_read_next_header(zip.get(), &entry);
        if (next == ARCHIVE_EOF) break;
        if (next < ARCHIVE_WARN) return damaged(zip.get());
        if (++files > kFilesMax) {
            return fail(Code::payload_too_large, "the document holds more than {} files",
                        kFilesMax);
        }
        const char* path = ::archive_entry_pathname(entry);
        if (path == nullptr || !wanted(path)) continue;
        if (::archive_entry_is_encrypted(entry) != 0) {
            return fail(Code::failed_precondition,
                        "the document is encrypted; save it without a password");
        }
        std::string& part = package.parts_[path];
        part.clear();
        char block[64u << 10];
        for (;;) {
            const auto got = ::archive_read_data(zip.get(), block, sizeof(block));
            if (got < 0) return damaged(zip.get());
            if (got == 0) break;
            unpacked += static_cast<std::uint64_t>(got);
            if (unpacked > request.unpacked_bytes_max ||
                (unpacked > kRatioFree && unpacked / kRatioMax > bytes.size())) {
                return fail(Code::payload_too_large,
                            "the document has {} bytes and unpacks to more than {}: it looks like "
                            "a ZIP bomb",
                            bytes.size(), unpacked);
            }
            part.append(block, static_cast<std::size_t>(got));
        }
    }
    return package;
}

Result<const pugi::xml_document*> Package::xml(const std::string& name) {
    if (const auto known = read_.find(name); known != read_.end()) return known->second.get();
    const auto part = parts_.find(name);
    if (part == parts_.end()) return nullptr;
    auto document = std::make_unique<pugi::xml_document>();
    const auto parsed = document->load_buffer(part->second.data(), part->second.size(),
                                              pugi::parse_default | pugi::parse_ws_pcdata_single);
    if (!parsed) {
        return fail(Code::invalid_argument, "{} in the document is no XML: {} at byte {}", name,
                    parsed.description(), parsed.offset);
    }
    DG_TRY(check_depth(*document, name));
    return read_.emplace(name, std::move(document)).first->second.get();
}

Result<std::map<std::string, std::string>> Package::relations(const std::string& name) {
    const std::size_t slash = name.rfind('/');
    const std::size_t file = slash == std::string::npos ? 0 : slash + 1;
    const auto* document =
        DG_TRY(xml(name.substr(0, file) + "_rels/" + name.substr(file) + ".rels"));
    std::map<std::string, std::string> out;
    if (document == nullptr) return out;
    for (const pugi::xml_node relation : document->first_child().children()) {
        out.emplace(attribute(relation, "Id"), resolve(name, attribute(relation, "Target")));
    }
    return out;
}

std::string_view local_name(const pugi::xml_node& node) {
    const std::string_view name = node.name();
    const std::size_t colon = name.find(':');
    return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string_view attribute(const pugi::xml_node& node, std::string_view name) {
    for (const pugi::xml_attribute one : node.attributes()) {
        const std::string_view full = one.name();
        const std::size_t colon = full.find(':');
        if ((colon == std::string_view::npos ? full : full.substr(colon + 1)) == name) {
            return one.value();
        }
    }
    return "";
}

pugi::xml_node child(const pugi::xml_node& node, std::string_view name) {
    for (const pugi::xml_node one : node.children()) {
        if (local_name(one) == name) return one;
    }
    return {};
}

Result<std::string> title_of(Package& package) {
    const auto* core = DG_TRY(package.xml("docProps/core.xml"));
    if (core == nullptr) return std::string();
    return std::string(child(core->first_child(), "title").child_value());
}

}  // namespace memory::knowledge::parse
