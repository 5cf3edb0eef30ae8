#include "engine/catalog/hub.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <thread>

#include "base/json/json.h"
#include "engine/model_files/shards.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::HttpClient;
using base::Result;

namespace {

constexpr int kHopsMax = 5;
constexpr std::uint64_t kWaitSliceMs = 100;
constexpr std::uint32_t kUnreachableAttempts = 2;
constexpr std::size_t kNamesShown = 12;

// Best first for a CPU: the 4-bit mix is the field's usual trade of quality and speed.
constexpr std::array<std::string_view, 17> kPreference = {
    "Q4_K_M", "Q4_K_S", "Q5_K_M", "Q5_K_S", "Q4_1", "Q4_0", "Q5_1", "Q5_0", "Q6_K",
    "Q8_0",   "Q3_K_M", "Q3_K_L", "Q3_K_S", "Q2_K", "F16",  "BF16", "F32"};

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

bool is_word_char(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

/// `name` holds `word` with no letter, digit or underscore right beside it.
bool has_word(std::string_view name, std::string_view word) {
    for (std::size_t at = name.find(word); at != std::string_view::npos;
         at = name.find(word, at + 1)) {
        const bool starts = at == 0 || !is_word_char(name[at - 1]);
        const std::size_t end = at + word.size();
        if (starts && (end == name.size() || !is_word_char(name[end]))) return true;
    }
    return false;
}

std::string_view base_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

/// Position in kPreference; its size for a name without a known type; nothing for what cannot run.
std::optional<std::size_t> rank_of(std::string_view file) {
    const std::string name = upper(base_name(file));
    // The folder lists *.gguf as written so.
    if (!file.ends_with(".gguf") || name.find("MMPROJ") != std::string::npos ||
        name.find("IMATRIX") != std::string::npos) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < kPreference.size(); ++i) {
        if (has_word(name, kPreference[i])) return i;
    }
    const bool foreign = name.find("IQ") != std::string::npos ||
                         name.find("TQ") != std::string::npos ||
                         name.find("MXFP4") != std::string::npos;
    if (foreign) return std::nullopt;
    return kPreference.size();
}

std::string url_encode_path(std::string_view path) {
    std::string out;
    for (const char c : path) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) ||
                           std::string_view("-._~/").find(c) != std::string_view::npos;
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

bool is_sha256(std::string_view text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::string without_quotes(std::string_view etag) {
    if (etag.starts_with("W/")) etag.remove_prefix(2);
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
        etag = etag.substr(1, etag.size() - 2);
    }
    return std::string(etag);
}

std::uint64_t to_bytes(std::optional<std::string_view> text) {
    std::uint64_t value = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
}

std::string host_of(std::string_view url) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string_view::npos) return {};
    const std::size_t end = url.find_first_of("/?#", scheme + 3);
    return std::string(url.substr(0, end));
}

/// Location may be a whole URL or a path on the same host.
std::string resolve_location(const std::string& base_url, std::string_view location) {
    return location.starts_with('/') ? host_of(base_url) + std::string(location)
                                     : std::string(location);
}

std::string repository_name(const HubSource& source) {
    return source.owner + "/" + source.name;
}

}  // namespace

std::vector<std::string> rank_gguf_files(std::vector<std::string> files,
                                         const std::string& preferred) {
    std::erase_if(files, [](const std::string& file) {
        const auto shard = shard_name(file);
        return !rank_of(file) || (shard && shard->index != 1);
    });
    const std::string wanted = upper(preferred);
    const auto key = [&](const std::string& file) {
        const bool first = !wanted.empty() && has_word(upper(base_name(file)), wanted);
        return std::tuple(!first, *rank_of(file), file);
    };
    std::ranges::sort(files, {}, key);
    return files;
}

Hub::Hub(const HttpClient& client, const CatalogOptions& options,
         const std::function<bool()>& keep_going)
    : client_(client), options_(options), keep_going_(keep_going) {}

Result<void> Hub::wait(std::uint64_t wait_ms) const {
    for (std::uint64_t waited_ms = 0; waited_ms < wait_ms; waited_ms += kWaitSliceMs) {
        if (!keep_going_()) {
            return fail_on(options_.hub_url, Code::cancelled, "stopped waiting for {}",
                           options_.hub_url);
        }
        const std::uint64_t slice_ms = std::min(kWaitSliceMs, wait_ms - waited_ms);
        std::this_thread::sleep_for(std::chrono::milliseconds(slice_ms));
    }
    return {};
}

HttpClient::Headers Hub::headers() const {
    if (options_.hub_token.empty()) return {};
    return {{"Authorization", "Bearer " + options_.hub_token}};
}

/// One small exchange, repeated while the hub is busy. Statuses from 400 become errors.
Result<HttpClient::Response> Hub::ask(const HttpClient::Request& request, const HubSource& source,
                                      const std::string& file) const {
    const std::string what =
        file.empty() ? repository_name(source) : repository_name(source) + ":" + file;
    std::uint64_t wait_ms = options_.backoff_first_ms;
    for (std::uint32_t attempt = 1;;
         ++attempt, wait_ms = std::min<std::uint64_t>(wait_ms * 2, 30'000)) {
        HttpClient::Request watched = request;
        watched.cancelled = [this] { return !keep_going_(); };
        const auto response = client_.send(watched);
        const bool busy = response && (response->status == 429 || response->status >= 500);
        const bool cut = !response && (response.error().code == Code::unavailable ||
                                       response.error().code == Code::deadline_exceeded);
        // A hub that cannot be reached at all is more often a wrong name than a passing fault.
        const std::uint32_t attempts =
            cut ? std::min(options_.attempts_max, kUnreachableAttempts) : options_.attempts_max;
        if ((busy || cut) && attempt < attempts) {
            DG_TRY(wait(wait_ms));
            continue;
        }
        if (!response) return std::unexpected(response.error());
        const int status = response->status;
        if (status == 401 || status == 403) {
            return fail_on(what, Code::permission_denied,
                           "{}: the hub says {}; the repository is private or gated, or does not "
                           "exist: accept its terms at {}/{} and give a token of yours",
                           what, status, options_.hub_url, repository_name(source));
        }
        if (status == 404) {
            return fail_on(what, Code::not_found, "{}: the hub at {} has no such {}", what,
                           options_.hub_url, file.empty() ? "repository" : "file");
        }
        if (status >= 400) {
            return fail_on(what, Code::unavailable, "{}: the hub says {}", what, status);
        }
        return *response;
    }
}

Result<std::vector<std::string>> Hub::list_files(const HubSource& source) const {
    HttpClient::Request request;
    request.url = fmt::format("{}/api/models/{}", options_.hub_url, repository_name(source));
    request.headers = headers();
    const HttpClient::Response response = DG_TRY(ask(request, source, ""));
    const auto json = base::parse_json(response.body);
    const base::json::value* siblings =
        json && json->is_object() ? json->get_object().if_contains("siblings") : nullptr;
    if (siblings == nullptr || !siblings->is_array()) {
        return fail_on(request.url, Code::unavailable,
                       "{}: the answer lists no files; is this a model hub?", request.url);
    }
    std::vector<std::string> files;
    for (const base::json::value& sibling : siblings->get_array()) {
        const base::json::object* object = sibling.if_object();
        const base::json::value* name = object ? object->if_contains("rfilename") : nullptr;
        if (name != nullptr && name->is_string()) files.emplace_back(name->get_string());
    }
    return files;
}

Result<HubChoice> Hub::choose(const HubSource& source, const std::string& preferred) const {
    if (!source.file.empty()) return HubChoice{shard_names(source.file), ""};
    const std::vector<std::string> files = DG_TRY(list_files(source));
    const std::vector<std::string> ranked = rank_gguf_files(files, preferred);
    const std::string repository = repository_name(source);
    if (ranked.empty()) {
        std::string shown;
        for (const std::string& file : files) {
            if (!file.ends_with(".gguf") && !file.ends_with(".safetensors")) continue;
            if (shown.size() > 60 * kNamesShown) break;
            shown += shown.empty() ? file : ", " + file;
        }
        return fail_on(repository, Code::not_found,
                       "{} has no GGUF file that this engine runs (it has: {}); choose a "
                       "repository with GGUF files, or convert the model",
                       repository, shown.empty() ? "no model files" : shown);
    }
    // A server's list is input: its names become paths here.
    const auto parsed = parse_pull_source(fmt::format("{}:{}", repository, ranked.front()));
    if (!parsed) {
        return fail_on(repository, Code::data_loss, "{}: the hub lists an unusable file name `{}`",
                       repository, ranked.front());
    }
    const bool asked =
        !preferred.empty() && has_word(upper(base_name(ranked.front())), upper(preferred));
    std::string reason;
    if (asked) {
        reason = fmt::format("{} has the quantisation asked for", ranked.front());
    } else if (ranked.size() == 1) {
        reason = fmt::format("{} is its only GGUF model", ranked.front());
    } else {
        reason = fmt::format("{} of {} GGUF files; name another as {}:FILE", ranked.front(),
                             ranked.size(), repository);
        if (!preferred.empty()) reason += fmt::format(" (there is no {})", preferred);
    }
    return HubChoice{shard_names(ranked.front()), std::move(reason)};
}

Result<HubFile> Hub::look_up(const HubSource& source, const std::string& file) const {
    HubFile found;
    found.url = fmt::format("{}/{}/resolve/main/{}", options_.hub_url, repository_name(source),
                            url_encode_path(file));
    HttpClient::Request request;
    request.method = "HEAD";
    request.url = found.url;
    request.headers = headers();
    // The hub's own answer names the checksum; the CDN it redirects to may not. So redirects are
    // followed by hand, and the first answer that says enough is taken.
    request.follow_redirects = false;
    for (int hop = 0; hop < kHopsMax; ++hop) {
        const HttpClient::Response response = DG_TRY(ask(request, source, file));
        const bool redirect = response.status >= 300;
        const auto linked_etag = response.header("X-Linked-Etag");
        const std::string etag =
            without_quotes(linked_etag.value_or(response.header("ETag").value_or("")));
        if (found.identity.empty() && (linked_etag || !redirect)) found.identity = etag;
        if (found.bytes == 0) found.bytes = to_bytes(response.header("X-Linked-Size"));
        if (found.bytes == 0 && !redirect)
            found.bytes = to_bytes(response.header("Content-Length"));
        const auto location = response.header("Location");
        if (!redirect || !location || (found.bytes > 0 && !found.identity.empty())) break;
        const std::string next = resolve_location(request.url, *location);
        if (host_of(next) != host_of(request.url)) request.headers.clear();
        request.url = next;
    }
    if (is_sha256(found.identity)) found.sha256 = found.identity;
    return found;
}

}  // namespace engine
