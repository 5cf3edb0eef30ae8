#include "memory/http/profile_routes.h"

#include <utility>

#include "memory/http/route_names.h"
#include "memory/profile/profile.h"

namespace memory {
namespace {

using profile::Block;
using profile::Owner;

constexpr std::size_t kTextBytesMax = 256u << 10;

Result<Owner> owner_of(const Request& request) {
    return Owner{DG_TRY(tenant_of(request)), request.query_param("user").value_or(""),
                 request.query_param("agent").value_or("")};
}
std::string by_of(const Request& request) {
    return std::string(request.headers.get("X-Dougong-Agent")).substr(0, 128);
}

json::object to_json(const Block& block) {
    return {{"name", block.name},
            {"object", "profile_block"},
            {"text", block.text},
            {"description", block.description},
            {"limit_chars", block.limit_chars},
            {"read_only", block.read_only},
            {"version", block.version},
            {"changed_unix_ms", block.changed_unix_ms},
            {"by", block.by}};
}
json::array to_json(const std::vector<Block>& blocks) {
    json::array out;
    for (const Block& block : blocks) out.push_back(to_json(block));
    return out;
}

}  // namespace

Result<Response> ProfileCalls::list(const Request& request) {
    const Owner owner = DG_TRY(owner_of(request));
    return json_answer(200, {{"object", "list"},
                             {"data", to_json(DG_TRY(store_.profiles().list(owner)))},
                             {"text", DG_TRY(store_.profiles().render(owner))}});
}

Result<Response> ProfileCalls::show(const Request& request) {
    return json_answer(
        200,
        to_json(DG_TRY(store_.profiles().get(DG_TRY(owner_of(request)), request.param("name")))));
}

Result<Response> ProfileCalls::put(const Request& request) {
    profile::Put put{.name = std::string(request.param("name"))};
    std::string text, description;
    std::uint32_t limit = 0, version = 0;
    bool read_only = false;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("text", text, kTextBytesMax);
    in.text("description", description, kTextBytesMax);
    in.integer<std::uint32_t>("limit_chars", limit, 1, 20'000);
    in.flag("read_only", read_only);
    in.integer<std::uint32_t>("expected_version", version, 0, 1u << 31);
    in.flag("unlock", put.unlock);
    if (in.has("text")) put.text = std::move(text);
    if (in.has("description")) put.description = std::move(description);
    if (in.has("limit_chars")) put.limit_chars = limit;
    if (in.has("read_only")) put.read_only = read_only;
    if (in.has("expected_version")) put.expected_version = version;
    DG_TRY(in.done());
    return json_answer(
        200,
        to_json(DG_TRY(store_.profiles().put(DG_TRY(owner_of(request)), put, by_of(request)))));
}

Result<Response> ProfileCalls::append(const Request& request) {
    std::string line;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("line", line, kTextBytesMax);
    if (line.empty()) in.fault("line", "is missing");
    DG_TRY(in.done());
    return json_answer(
        200, to_json(DG_TRY(store_.profiles().append(
                 DG_TRY(owner_of(request)), request.param("name"), line, by_of(request)))));
}

Result<Response> ProfileCalls::replace(const Request& request) {
    std::string before, after;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("before", before, kTextBytesMax);
    in.text("after", after, kTextBytesMax);
    if (before.empty()) in.fault("before", "is missing");
    DG_TRY(in.done());
    return json_answer(200, to_json(DG_TRY(store_.profiles().replace(DG_TRY(owner_of(request)),
                                                                     request.param("name"), before,
                                                                     after, by_of(request)))));
}

Result<Response> ProfileCalls::history(const Request& request) {
    const auto versions =
        DG_TRY(store_.profiles().history(DG_TRY(owner_of(request)), request.param("name")));
    return json_answer(200, {{"object", "list"}, {"data", to_json(versions)}});
}

Result<Response> ProfileCalls::restore(const Request& request) {
    std::uint32_t version = 0;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.integer<std::uint32_t>("version", version, 1, 1u << 31);
    if (!in.has("version")) in.fault("version", "is missing; GET .../history lists them");
    DG_TRY(in.done());
    return json_answer(
        200, to_json(DG_TRY(store_.profiles().restore(
                 DG_TRY(owner_of(request)), request.param("name"), version, by_of(request)))));
}

Result<Response> ProfileCalls::remove(const Request& request) {
    DG_TRY(store_.profiles().remove(DG_TRY(owner_of(request)), request.param("name")));
    return json_answer(
        200, {{"name", request.param("name")}, {"object", "profile_block"}, {"deleted", true}});
}

}  // namespace memory
