#include "memory/truth/sealing.h"

#include "base/json/json.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::Result;
namespace json = base::json;

void put(std::string& out, std::string_view text) {
    for (std::size_t size = text.size();; size >>= 7) {
        out += static_cast<char>((size & 0x7F) | (size >= 0x80 ? 0x80 : 0));
        if (size < 0x80) break;
    }
    out += text;
}

/// None: cut off.
std::optional<std::string_view> take(std::string_view& from) {
    constexpr unsigned kBitsMax = 35;
    std::size_t size = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (from.empty() || shift > kBitsMax) return std::nullopt;
        const auto byte = static_cast<unsigned char>(from.front());
        from.remove_prefix(1);
        size |= std::size_t{byte & 0x7Fu} << shift;
        if ((byte & 0x80) == 0) break;
    }
    if (size > from.size()) return std::nullopt;
    const std::string_view text = from.substr(0, size);
    from.remove_prefix(size);
    return text;
}

}  // namespace

std::string said_of(const Entry& entry) {
    std::string said;
    put(said, entry.content);
    put(said, entry.speaker);
    put(said, entry.media.uri);
    put(said, entry.metadata.empty() ? "" : base::to_text(entry.metadata));
    return said;
}

Result<void> read_said(std::string_view said, Entry& entry) {
    const auto content = take(said), speaker = take(said), uri = take(said), metadata = take(said);
    if (!metadata || !said.empty()) return fail(Code::data_loss, "what was sealed is cut off");
    entry.content = *content;
    entry.speaker = *speaker;
    entry.media.uri = *uri;
    entry.metadata = {};
    if (metadata->empty()) return {};
    json::value parsed = DG_TRY(base::parse_json(*metadata));
    if (!parsed.is_object()) return fail(Code::data_loss, "sealed metadata is no object");
    entry.metadata = std::move(parsed.get_object());
    return {};
}

const Sealing& Sealing::none() {
    static const Sealing nothing;
    return nothing;
}

Result<SubjectKeyPtr> Sealing::find(KeyId key) const {
    if (keys_ != nullptr) return keys_->find(key);
    return fail(Code::failed_precondition,
                "memories were sealed with keys since this store was opened; open it again");
}

Result<KeyId> Sealing::key_for(const Scope& scope) const {
    if (!seals_) return 0;
    return DG_TRY(keys_->of(scope))->id;
}

Result<std::string> Sealing::seal(KeyId key, std::string_view plain, std::string_view place) const {
    const SubjectKeyPtr with = DG_TRY(find(key));
    if (with == nullptr) return fail(Code::not_found, "whom this belongs to was forgotten");
    return base::seal(with->content, plain, place);
}

Result<std::optional<std::string>> Sealing::unseal(KeyId key, std::string_view sealed,
                                                   std::string_view place) const {
    const SubjectKeyPtr with = DG_TRY(find(key));
    if (with == nullptr) return std::nullopt;
    auto plain = base::unseal(with->content, sealed, place);
    if (!plain) return fail(Code::data_loss, "sealed bytes are damaged, or of another place");
    return plain;
}

Result<std::vector<std::int64_t>> Sealing::marks(KeyId key, std::vector<std::int64_t> plain) const {
    if (key == 0) return plain;
    const SubjectKeyPtr with = DG_TRY(find(key));
    if (with == nullptr) return std::vector<std::int64_t>{};
    base::veil(with->marks, plain);
    return plain;
}

}  // namespace memory::truth
