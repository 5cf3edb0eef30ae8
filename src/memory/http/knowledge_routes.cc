#include "memory/http/knowledge_routes.h"

#include <array>
#include <utility>

#include "memory/http/form.h"
#include "memory/http/route_names.h"

namespace memory {
namespace {

using base::api::query_all;
using knowledge::Labels;

constexpr std::size_t kNameBytesMax = 2048;

json::array texts(const std::vector<std::string>& items) {
    json::array out;
    for (const std::string& item : items) out.push_back(json::string(item));
    return out;
}

std::string_view how_name(knowledge::Stored::How how) {
    constexpr std::array<std::string_view, 3> kNames = {"added", "replaced", "unchanged"};
    return kNames[static_cast<std::size_t>(how)];
}
std::string_view kind_name(knowledge::Statement::Kind kind) {
    constexpr std::array<std::string_view, 3> kNames = {"number", "time", "text"};
    return kNames[static_cast<std::size_t>(kind)];
}

Result<json::object> read_metadata(std::string_view text) {
    if (text.empty()) return json::object();
    const json::value value = DG_TRY(base::parse_json(text));
    if (value.is_object()) return value.get_object();
    return fail_on("metadata", Code::invalid_argument, "'metadata' must be a JSON object");
}

/// Fields by name, from the query or from a form.
Result<void> take_field(std::string_view name, std::string value, knowledge::NewDocument& document,
                        Labels& held) {
    if (name == "id") document.id = std::move(value);
    if (name == "uri") document.uri = std::move(value);
    if (name == "name") document.name = std::move(value);
    if (name == "title") document.title = std::move(value);
    if (name == "media_type") document.media_type = std::move(value);
    if (name == "metadata") document.metadata = DG_TRY(read_metadata(value));
    if (name == "label") document.labels.push_back(std::move(value));
    if (name == "holds") held.push_back(std::move(value));
    return {};
}

constexpr std::array<std::string_view, 8> kFields = {"id",         "uri",      "name",  "title",
                                                     "media_type", "metadata", "label", "holds"};

Result<void> read_upload_form(const Request& request, knowledge::NewDocument& document,
                              Labels& held) {
    bool file = false;
    for (const FormPart& part :
         DG_TRY(read_form(request.headers.get("Content-Type"), request.body))) {
        if (part.name != "file") {
            DG_TRY(take_field(part.name, std::string(part.bytes), document, held));
            continue;
        }
        if (std::exchange(file, true)) {
            return fail_on("file", Code::invalid_argument,
                           "the form has several files; send one document at a time");
        }
        document.bytes = part.bytes;
        if (document.name.empty()) document.name = part.file_name;
        if (document.media_type.empty()) document.media_type = part.media_type;
    }
    if (file) return {};
    return fail_on("file", Code::invalid_argument, "the form has no file named 'file'");
}

json::object passage_json(const knowledge::Passage& passage) {
    json::array also;
    for (const auto& citation : passage.also) also.push_back(to_json(citation));
    return {{"id", passage.id},       {"text", passage.text},      {"header", passage.header},
            {"score", passage.score}, {"at", to_json(passage.at)}, {"also", std::move(also)}};
}

json::object conflict_json(const knowledge::Conflict& conflict) {
    json::array statements;
    for (const auto& one : conflict.statements) {
        statements.push_back(
            json::object{{"value", one.value}, {"quote", one.quote}, {"at", to_json(one.at)}});
    }
    return {{"subject", conflict.subject},
            {"attribute", conflict.attribute},
            {"kind", kind_name(conflict.kind)},
            {"statements", std::move(statements)}};
}

}  // namespace

json::object to_json(const knowledge::Document& document) {
    return {{"object", "document"},
            {"id", document.id},
            {"base", document.base},
            {"uri", document.uri},
            {"name", document.name},
            {"title", document.title},
            {"media_type", document.media_type},
            {"labels", texts(document.labels)},
            {"metadata", document.metadata},
            {"sha256", document.sha256},
            {"bytes", document.bytes},
            {"text_bytes", document.text_bytes},
            {"pages", document.pages},
            {"passages", document.passages},
            {"version", document.version},
            {"added_unix_ms", document.added_unix_ms},
            {"changed_unix_ms", document.changed_unix_ms},
            {"warnings", texts(document.warnings)}};
}

json::object to_json(const knowledge::Citation& citation) {
    return {{"document", citation.document},
            {"base", citation.base},
            {"title", citation.title},
            {"uri", citation.uri},
            {"page", citation.page},
            {"place", citation.place},
            {"section", texts(citation.section)},
            {"begin", citation.begin},
            {"end", citation.end}};
}

Result<Response> KnowledgeCalls::bases(const Request& request) {
    json::array data;
    for (const auto& base :
         DG_TRY(bases_.bases(DG_TRY(tenant_of(request)), query_all(request, "label")))) {
        data.push_back(json::object{{"object", "knowledge_base"},
                                    {"name", base.name},
                                    {"documents", base.documents},
                                    {"passages", base.passages},
                                    {"text_bytes", base.text_bytes},
                                    {"changed_unix_ms", base.changed_unix_ms}});
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> KnowledgeCalls::list(const Request& request) {
    const auto limit = DG_TRY(query_number(request, "limit", 1, 1000, 100));
    const auto page = DG_TRY(
        bases_.list(DG_TRY(tenant_of(request)), request.param("base"), query_all(request, "label"),
                    static_cast<std::uint32_t>(limit), request.query_param("cursor").value_or("")));
    json::array data;
    for (const auto& document : page.documents) data.push_back(to_json(document));
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}, {"next", page.next}});
}

Result<Response> KnowledgeCalls::put(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    knowledge::NewDocument document;
    document.base = request.param("base");
    Labels held;
    for (const std::string_view name : kFields) {
        for (std::string& value : query_all(request, name)) {
            DG_TRY(take_field(name, std::move(value), document, held));
        }
    }
    const std::string_view type = request.headers.get("Content-Type");
    if (type.starts_with("multipart/form-data")) {
        DG_TRY(read_upload_form(request, document, held));
    } else {
        document.bytes = request.body;
        if (document.media_type.empty()) document.media_type = type;
    }
    // Who puts a label on a document holds it.
    held.insert(held.end(), document.labels.begin(), document.labels.end());
    const std::string by(request.headers.get("X-Dougong-Agent"));
    const auto stored = DG_TRY(bases_.put(tenant, document, held, by));
    json::object out = to_json(stored.document);
    out["how"] = how_name(stored.how);
    out["passages_kept"] = stored.passages_kept;
    out["passages_added"] = stored.passages_added;
    out["passages_removed"] = stored.passages_removed;
    return json_answer(stored.how == knowledge::Stored::How::added ? 201 : 200, out);
}

Result<Response> KnowledgeCalls::show(const Request& request) {
    const auto detail = DG_TRY(bases_.get(DG_TRY(tenant_of(request)), request.param("base"),
                                          request.param("id"), query_all(request, "label")));
    json::array outline, pages;
    for (const auto& item : detail.outline) {
        outline.push_back(json::object{{"title", item.title},
                                       {"level", item.level},
                                       {"page", item.page},
                                       {"begin", item.begin}});
    }
    for (std::size_t i = 0; i < detail.page_begins.size(); ++i) {
        pages.push_back(
            json::object{{"begin", detail.page_begins[i]}, {"name", detail.page_names[i]}});
    }
    json::object out = to_json(detail.document);
    out["outline"] = std::move(outline);
    out["page_list"] = std::move(pages);
    return json_answer(200, out);
}

Result<Response> KnowledgeCalls::text(const Request& request) {
    return json_answer(
        200, {{"object", "document_text"},
              {"text", DG_TRY(bases_.text(DG_TRY(tenant_of(request)), request.param("base"),
                                          request.param("id"), query_all(request, "label")))}});
}

Result<Response> KnowledgeCalls::remove(const Request& request) {
    const std::string by(request.headers.get("X-Dougong-Agent"));
    const auto gone = DG_TRY(bases_.remove(DG_TRY(tenant_of(request)), request.param("base"),
                                           request.param("id"), query_all(request, "label"), by));
    return json_answer(200, {{"id", gone.id},
                             {"object", "document"},
                             {"deleted", true},
                             {"passages_removed", gone.passages}});
}

Result<Response> KnowledgeCalls::search(const Request& request) {
    knowledge::Question question;
    question.tenant = DG_TRY(tenant_of(request));
    const json::object body = DG_TRY(body_of(request));
    std::string where;
    ObjectReader in(body);
    in.text("query", question.text, 16u << 10);
    in.text("base", question.base, kNameBytesMax);
    in.text("document", question.document, kNameBytesMax);
    in.texts("labels", question.labels, 1000, kNameBytesMax);
    in.text("metadata", where, 16u << 10);
    in.integer<std::uint32_t>("limit", question.limit, 1, 100);
    in.integer<std::uint32_t>("tokens_max", question.tokens_max, 0, 10'000'000);
    DG_TRY(in.done());
    if (!where.empty()) question.metadata = DG_TRY(parse_metadata_expression(where));
    const auto found = DG_TRY(bases_.search(question));
    json::array data;
    for (const auto& passage : found.passages) data.push_back(passage_json(passage));
    return json_answer(200, {{"object", "list"},
                             {"data", std::move(data)},
                             {"confidence", found.confidence},
                             {"embedding_missing", found.embedding_missing}});
}

Result<Response> KnowledgeCalls::conflicts(const Request& request) {
    const auto limit = DG_TRY(query_number(request, "limit", 1, 1000, 100));
    json::array data;
    for (const auto& conflict : DG_TRY(
             bases_.conflicts(DG_TRY(tenant_of(request)), request.query_param("base").value_or(""),
                              query_all(request, "label"), static_cast<std::uint32_t>(limit)))) {
        data.push_back(conflict_json(conflict));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

}  // namespace memory
