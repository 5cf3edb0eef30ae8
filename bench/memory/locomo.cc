#include "locomo.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>

#include "base/json/json.h"

namespace bench {
namespace {

namespace json = base::json;

constexpr memory::UnixMs kMinuteMs = 60'000;

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

/// "1:56 pm on 8 May, 2023"; 0 when it reads otherwise.
memory::UnixMs session_time(const std::string& text) {
    static constexpr std::array<std::string_view, 12> kMonths = {
        "January", "February", "March",     "April",   "May",      "June",
        "July",    "August",   "September", "October", "November", "December"};
    int hour = 0, minute = 0, day = 0, year = 0;
    char half[3] = {}, month[16] = {};
    if (std::sscanf(text.c_str(), "%d:%d %2s on %d %15[A-Za-z], %d", &hour, &minute, half, &day,
                    month, &year) != 6) {
        return 0;
    }
    const auto at = std::ranges::find(kMonths, std::string_view(month));
    if (at == kMonths.end()) return 0;
    const std::chrono::sys_days date{
        std::chrono::year(year) /
        std::chrono::month(static_cast<unsigned>(at - kMonths.begin()) + 1) /
        std::chrono::day(static_cast<unsigned>(day))};
    const int hours = hour % 12 + (std::string_view(half) == "pm" ? 12 : 0);
    return (static_cast<memory::UnixMs>(date.time_since_epoch().count()) * 24 * 60 + hours * 60 +
            minute) *
           kMinuteMs;
}

/// Every D<session>:<turn> in `text`, without leading zeros.
std::vector<std::string> turn_ids(std::string_view text) {
    std::vector<std::string> ids;
    for (std::size_t at = text.find('D'); at != std::string_view::npos;
         at = text.find('D', at + 1)) {
        int session = 0, turn = 0;
        const char* end = text.data() + text.size();
        auto read = std::from_chars(text.data() + at + 1, end, session);
        if (read.ec != std::errc() || read.ptr == end || *read.ptr != ':') continue;
        if (std::from_chars(read.ptr + 1, end, turn).ec != std::errc()) continue;
        ids.push_back("D" + std::to_string(session) + ":" + std::to_string(turn));
    }
    return ids;
}

Corpus read_conversation(const json::object& sample) {
    Corpus corpus;
    corpus.name = text_of(sample, "sample_id");
    const json::object& conversation = sample.at("conversation").as_object();
    std::map<std::string, std::size_t> places;
    for (int number = 1; number <= 64; ++number) {
        const std::string session = "session_" + std::to_string(number);
        const json::value* turns = conversation.if_contains(session);
        if (turns == nullptr || !turns->is_array()) continue;
        memory::UnixMs time = session_time(text_of(conversation, session + "_date_time"));
        for (const json::value& turn : turns->as_array()) {
            const json::object& fields = turn.as_object();
            memory::Entry entry;
            entry.type = memory::MemoryType::episodic;
            entry.scope = {.tenant = corpus.name, .session = session};
            entry.speaker = text_of(fields, "speaker");
            // What a picture shows comes first: the turn's end stays its own.
            entry.content = text_of(fields, "blip_caption");
            if (!entry.content.empty()) entry.content += "\n";
            entry.content += text_of(fields, "text");
            entry.created_unix_ms = entry.valid_from_unix_ms = time;
            corpus.now = std::max(corpus.now, time);
            time += kMinuteMs;
            for (const std::string& id : turn_ids(text_of(fields, "dia_id"))) {
                places[id] = corpus.entries.size();
            }
            corpus.entries.push_back(std::move(entry));
        }
    }
    for (const json::value& qa : sample.at("qa").as_array()) {
        Asked asked;
        asked.text = text_of(qa.as_object(), "question");
        asked.category = qa.at("category").to_number<int>();
        for (const json::value& evidence : qa.at("evidence").as_array()) {
            for (const std::string& id : turn_ids(evidence.as_string())) {
                const auto place = places.find(id);
                if (place == places.end() ||
                    std::ranges::find(asked.evidence, place->second) != asked.evidence.end()) {
                    continue;
                }
                asked.evidence.push_back(place->second);
            }
        }
        corpus.questions.push_back(std::move(asked));
    }
    return corpus;
}

template <class Each>
base::Result<void> each_line(const std::string& path, Each each) {
    const std::string text = DG_TRY(read_maybe_gzip(path));
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        if (end > at) {
            each(DG_TRY(base::parse_json(std::string_view(text).substr(at, end - at))).as_object());
        }
        at = end + 1;
    }
    return {};
}

}  // namespace

base::Result<std::string> read_maybe_gzip(const std::string& path) {
    gzFile file = gzopen(path.c_str(), "rb");
    if (file == nullptr) return base::fail(base::Code::not_found, "{} cannot be opened", path);
    std::string text;
    std::array<char, 1 << 16> buffer;
    int got = 0;
    while ((got = gzread(file, buffer.data(), buffer.size())) > 0) {
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    gzclose(file);
    if (got < 0) return base::fail(base::Code::data_loss, "{} is damaged", path);
    return text;
}

base::Result<std::vector<Corpus>> read_locomo(const std::string& path) {
    const json::value file = DG_TRY(base::parse_json(DG_TRY(read_maybe_gzip(path))));
    std::vector<Corpus> corpora;
    for (const json::value& sample : file.as_array()) {
        corpora.push_back(read_conversation(sample.as_object()));
    }
    return corpora;
}

base::Result<Corpus> read_cmrc(const std::string& passages_path,
                               const std::string& questions_path) {
    Corpus corpus;
    corpus.name = "cmrc";
    std::map<std::int64_t, std::size_t> places;
    DG_TRY(each_line(passages_path, [&](const json::object& passage) {
        places[passage.at("doc_id").to_number<std::int64_t>()] = corpus.entries.size();
        memory::Entry entry;
        entry.scope.tenant = corpus.name;
        entry.content = text_of(passage, "text");
        entry.created_unix_ms = corpus.now = kMinuteMs;
        corpus.entries.push_back(std::move(entry));
    }));
    DG_TRY(each_line(questions_path, [&](const json::object& question) {
        const auto place = places.find(question.at("doc_id").to_number<std::int64_t>());
        if (place == places.end()) return;
        corpus.questions.push_back({text_of(question, "question"), 0, {place->second}});
    }));
    return corpus;
}

}  // namespace bench
