// Chinese clauses: a subject, a phrase of the table, an object; what stands before the phrase says
// whether it is denied or over.
#include <algorithm>
#include <array>
#include <utility>

#include "base/core/utf8.h"
#include "memory/facts/english_clause.h"
#include "memory/facts/rules.h"

namespace memory::facts {
namespace {

using enum Effect;

/// `before` object `after`.
struct Phrase {
    std::string_view before, after, predicate;
    Effect effect = state;
};
constexpr auto kPhrases = std::to_array<Phrase>({
    {"居住在", "", "lives_in"},
    {"住在", "", "lives_in"},
    {"定居在", "", "lives_in", begin},
    {"搬到了", "", "lives_in", begin},
    {"搬到", "", "lives_in", begin},
    {"搬去了", "", "lives_in", begin},
    {"搬去", "", "lives_in", begin},
    {"搬离了", "", "lives_in", end},
    {"搬离", "", "lives_in", end},
    {"搬出了", "", "lives_in", end},
    {"来自", "", "comes_from"},
    {"毕业于", "", "graduated_from", event},
    {"就职于", "", "works_at"},
    {"任职于", "", "works_at"},
    {"在", "工作", "works_at"},
    {"在", "上班", "works_at"},
    {"入职了", "", "works_at", begin},
    {"入职", "", "works_at", begin},
    {"加入了", "", "works_at", begin},
    {"从", "离职", "works_at", end},
    {"从", "辞职", "works_at", end},
    {"离开了", "", "works_at", end},
    {"在", "上学", "studies_at"},
    {"在", "读书", "studies_at"},
    {"就读于", "", "studies_at"},
    {"喜欢吃", "", "likes"},
    {"喜欢喝", "", "likes"},
    {"喜欢", "", "likes"},
    {"爱吃", "", "likes"},
    {"爱喝", "", "likes"},
    {"热爱", "", "likes"},
    {"讨厌", "", "dislikes"},
    {"对", "过敏", "allergic_to"},
    {"嫁给了", "", "married_to", begin},
    {"嫁给", "", "married_to", begin},
    {"娶了", "", "married_to", begin},
    {"和", "结婚", "married_to", begin},
    {"跟", "结婚", "married_to", begin},
    {"与", "结婚", "married_to", begin},
    {"和", "离婚", "married_to", end},
    {"跟", "离婚", "married_to", end},
    {"与", "离婚", "married_to", end},
    {"名字叫", "", "name"},
    {"名叫", "", "name"},
    {"叫", "", "name"},
    {"出生在", "", "born_in", event},
    {"出生于", "", "born_in", event},
    {"生于", "", "born_in", event},
    {"会说", "", "speaks"},
    {"养了一只", "", "has_pet"},
    {"养了一条", "", "has_pet"},
    {"有一只", "", "has_pet"},
    {"有一条", "", "has_pet"},
    {"正在学", "", "learns"},
    {"打算", "", "plans_to", intent},
    {"计划", "", "plans_to", intent},
    {"参加了", "", "attended", event},
});

constexpr auto kAttributes = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"名字", "name"},
    {"姓名", "name"},
    {"邮箱", "email"},
    {"电子邮箱", "email"},
    {"电话", "phone"},
    {"电话号码", "phone"},
    {"手机号", "phone"},
    {"手机号码", "phone"},
    {"地址", "address"},
    {"住址", "address"},
    {"生日", "birthday"},
    {"家乡", "comes_from"},
    {"老家", "comes_from"},
    {"国籍", "nationality"},
    {"职业", "works_as"},
    {"爱好", "hobby"},
    {"母语", "native_language"},
    {"妻子", "married_to"},
    {"丈夫", "married_to"},
    {"最喜欢的颜色", "favourite_colour"},
    {"最喜欢的食物", "favourite_food"},
    {"最喜欢的电影", "favourite_movie"},
    {"最喜欢的书", "favourite_book"},
    {"最喜欢的歌", "favourite_song"},
    {"最喜欢的运动", "favourite_sport"},
    {"最喜欢的动物", "favourite_animal"},
    {"最喜欢的季节", "favourite_season"},
});

constexpr auto kJobs = std::to_array<std::string_view>(
    {"老师", "教师",   "医生",   "护士", "工程师", "律师", "司机", "厨师", "记者", "会计",
     "教授", "设计师", "程序员", "演员", "作家",   "画家", "警察", "农民", "翻译", "科学家"});
constexpr auto kKin = std::to_array<std::string_view>(
    {"妈妈", "爸爸", "母亲", "父亲", "姐姐", "哥哥", "妹妹", "弟弟", "妻子", "丈夫", "老婆", "老公",
     "女儿", "儿子", "朋友", "同事", "老板", "奶奶", "爷爷"});
constexpr auto kFillers = std::to_array<std::string_view>(
    {"现在", "目前", "已经", "一直", "最近", "其实", "刚刚", "真的", "非常", "特别", "很", "也",
     "还", "都", "就", "刚", "又", "终于", "今后"});
constexpr auto kDoubts = std::to_array<std::string_view>(
    {"如果", "要是", "可能", "也许", "大概", "希望", "应该",   "听说",
     "觉得", "好像", "假如", "想",   "吗",   "呢",   "是不是", "会不会",
     "什么", "哪",   "谁",   "怎么", "多少", "据说", "似乎",   "说不定"});
/// In a name none of these stands.
constexpr auto kNoName = std::to_array<std::string_view>(
    {"的", "了", "是", "在", "和", "与", "不", "我", "你", "他", "她", "它", "这", "那", "有",
     "没", "会", "们", "大", "家", "人", "天", "从", "对", "把", "被", "让", "给", "要"});

template <class List>
bool contains_any(std::string_view text, const List& list) {
    return std::ranges::any_of(
        list, [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
}

bool take_end(std::string_view& text, std::string_view ending) {
    if (!text.ends_with(ending)) return false;
    text.remove_suffix(ending.size());
    return true;
}

bool has_cjk(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const base::Utf8Char c = base::utf8_at(text, i);
        if (c.valid && c.code >= 0x4E00 && c.code <= 0x9FFF) return true;
        i += c.bytes;
    }
    return false;
}

struct Clause {
    std::size_t begin = 0, end = 0;
    bool starts_sentence = false, question = false;
};

std::vector<Clause> clauses_of(std::string_view text) {
    std::vector<Clause> out;
    Clause now{.starts_sentence = true};
    for (std::size_t i = 0; i < text.size();) {
        const base::Utf8Char c = base::utf8_at(text, i);
        const std::string_view mark = text.substr(i, c.bytes);
        const bool comma = mark == "，" || mark == "," || mark == "：" || mark == " ";
        const bool dot = mark == "." && (i + 1 == text.size() || text[i + 1] == ' ');
        const bool stop = mark == "。" || mark == "！" || mark == "？" || mark == "；" ||
                          mark == "\n" || mark == "!" || mark == "?" || mark == ";" || dot;
        i += c.bytes;
        if (mark == " " || (!comma && !stop)) continue;
        now.end = i - c.bytes;
        now.question = mark == "？" || mark == "?";
        out.push_back(now);
        now = {.begin = i, .starts_sentence = stop};
    }
    now.end = text.size();
    out.push_back(now);
    return out;
}

class Reader {
public:
    Reader(std::string_view text, const ExtractContext& context) : text_(text), context_(context) {}

    std::vector<Found> run() {
        for (const Clause& clause : clauses_of(text_)) {
            if (clause.starts_sentence) subject_.clear();
            const std::string_view words = text_.substr(clause.begin, clause.end - clause.begin);
            if (clause.question || !has_cjk(words) || contains_any(words, kDoubts)) continue;
            clause_ = clause;
            read(words);
        }
        return std::move(out_);
    }

private:
    void read(std::string_view written) {
        std::string clause(written);
        std::erase(clause, ' ');
        if (read_birth(clause)) return;
        const bool dated = contains_any(clause, std::to_array<std::string_view>({"生日"}));
        if (dated && read_attribute(clause, {})) return;
        when_ = chinese_when_of(clause, context_.said_at_unix_ms);
        if (read_attribute(clause, when_)) return;
        if (read_job(clause)) return;
        read_phrase(clause);
    }

    /// Whom `before` means; false when it is nobody clear. Empty: whoever it was before.
    bool take_subject(std::string_view before, Chain& chain) {
        chain = {};
        for (bool again = true; again;) {
            again = false;
            for (const std::string_view filler : kFillers)
                again = again || take_end(before, filler);
            if (take_end(before, "已经不") || take_end(before, "不再") || take_end(before, "不")) {
                chain.negated = again = true;
            }
            if (take_end(before, "以前") || take_end(before, "曾经") || take_end(before, "过去")) {
                chain.used_to = again = true;
            }
            if (take_end(before, "没有") || take_end(before, "没") || take_end(before, "别")) {
                return false;
            }
        }
        for (const std::string_view filler : kFillers) {
            if (before.starts_with(filler)) before.remove_prefix(filler.size());
        }
        const std::string found = person(before);
        if (found.empty()) return false;
        subject_ = found;
        return true;
    }

    std::string person(std::string_view words) const {
        if (words.empty()) return subject_;
        for (const auto& [pronoun, whom] : {std::pair(std::string_view("我"), context_.speaker),
                                            {"你", context_.listener},
                                            {"您", context_.listener}}) {
            if (!words.starts_with(pronoun)) continue;
            std::string_view rest = words.substr(pronoun.size());
            if (rest.empty() || whom.empty()) return whom;
            if (rest.starts_with("的")) rest.remove_prefix(std::string_view("的").size());
            const bool kin = std::ranges::find(kKin, rest) != kKin.end();
            return kin ? whom + "的" + std::string(rest) : std::string();
        }
        const std::size_t length = base::utf8_length(words);
        const bool latin = std::ranges::all_of(
            words, [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; });
        const bool fits = latin ? length <= 20 : length >= 2 && length <= 4;
        return fits && !contains_any(words, kNoName) ? std::string(words) : std::string();
    }

    /// "我的邮箱是...", "李雷最喜欢的颜色是...".
    bool read_attribute(std::string_view clause, const When& when) {
        static constexpr std::string_view kIs = "是";
        const std::size_t is = clause.find(kIs);
        if (is == std::string_view::npos) return false;
        std::string_view left = clause.substr(0, is), predicate;
        for (const std::string_view filler : kFillers) take_end(left, filler);
        Chain chain;
        const bool denied =
            take_end(left, "已经不") || take_end(left, "不再") || take_end(left, "不");
        std::size_t longest = 0;
        for (const auto& [noun, name] : kAttributes) {
            if (left.ends_with(noun) && noun.size() > longest) {
                longest = noun.size();
                predicate = name;
            }
        }
        if (longest == 0) return false;
        left.remove_suffix(longest);
        take_end(left, "的");
        if (!take_subject(left, chain)) return true;
        chain.negated = denied;
        emit(predicate, clause.substr(is + kIs.size()), state, chain, when);
        return true;
    }

    /// "是一名护士".
    bool read_job(std::string_view clause) {
        for (const std::string_view is : {"是一名", "是一位", "是个", "当了", "做了"}) {
            const std::size_t at = clause.find(is);
            if (at == std::string_view::npos) continue;
            const std::string_view job = trimmed(clause.substr(at + is.size()));
            Chain chain;
            if (std::ranges::find(kJobs, job) == kJobs.end()) return false;
            if (take_subject(clause.substr(0, at), chain))
                emit("works_as", job, state, chain, when_);
            return true;
        }
        return false;
    }

    /// "出生于1990年5月3日": the date is the object.
    bool read_birth(std::string_view clause) {
        for (const std::string_view born : {"出生于", "生于"}) {
            const std::size_t at = clause.find(born);
            if (at == std::string_view::npos) continue;
            const std::string_view date = trimmed(clause.substr(at + born.size()));
            std::string rest(date);
            const When when = chinese_when_of(rest, context_.said_at_unix_ms);
            if (!rest.empty() || !when.at) return false;
            Chain chain;
            chain.be = true;
            if (take_subject(clause.substr(0, at), chain)) {
                chain.be = true;
                emit("born_on", date, event, chain, when);
            }
            return true;
        }
        return false;
    }

    void read_phrase(std::string_view clause) {
        const Phrase* best = nullptr;
        std::size_t best_at = std::string_view::npos;
        for (const Phrase& phrase : kPhrases) {
            const std::size_t at = clause.find(phrase.before);
            if (at == std::string_view::npos) continue;
            std::string_view rest = trimmed(clause.substr(at + phrase.before.size()));
            if (!phrase.after.empty() && !rest.ends_with(phrase.after)) continue;
            const bool longer = best != nullptr && at == best_at &&
                                phrase.before.size() + phrase.after.size() >
                                    best->before.size() + best->after.size();
            if (best == nullptr || at < best_at || longer) {
                best = &phrase;
                best_at = at;
            }
        }
        Chain chain;
        if (best == nullptr || !take_subject(clause.substr(0, best_at), chain)) return;
        std::string_view object = trimmed(clause.substr(best_at + best->before.size()));
        object.remove_suffix(best->after.size());
        if (best->effect == end || best->effect == event) chain.past = true;
        if (best->effect == begin || best->effect == end) {
            if (chain.negated || chain.used_to) return;
        }
        const bool list = cardinality_of(best->predicate) == Cardinality::many;
        while (list && best->effect != intent) {
            const std::size_t first = object.find("、");
            const std::size_t last = object.find("和");
            const std::size_t cut = std::min(first, last);
            if (cut == std::string_view::npos) break;
            emit(best->predicate, object.substr(0, cut), best->effect, chain, when_);
            object.remove_prefix(cut + std::string_view("和").size());
        }
        emit(best->predicate, object, best->effect, chain, when_);
    }

    static std::string_view trimmed(std::string_view words) {
        for (bool again = true; again;) {
            again = false;
            for (const std::string_view tail : {"了", "啊", "吧", "哦", "呀", "的"}) {
                again = again || take_end(words, tail);
            }
        }
        return words;
    }

    void emit(std::string_view predicate, std::string_view object, Effect effect,
              const Chain& chain, const When& when) {
        constexpr std::size_t kLengthMax = 24;
        object = trimmed(object);
        if (object.empty() || base::utf8_length(object) > kLengthMax) return;
        for (const std::string_view vague : {"这", "那", "它", "他", "她", "我", "你"}) {
            if (object.starts_with(vague)) return;
        }
        const auto outcome = outcome_of(effect, chain, when, context_.said_at_unix_ms);
        if (!outcome) return;
        out_.push_back({subject_, std::string(predicate), std::string(object), outcome->retracts,
                        outcome->from, outcome->to, clause_.begin, clause_.end, .85f});
    }

    std::string_view text_;
    const ExtractContext& context_;
    Clause clause_;
    When when_;
    std::string subject_;
    std::vector<Found> out_;
};

}  // namespace

std::vector<Found> chinese(std::string_view text, const ExtractContext& context) {
    if (!has_cjk(text)) return {};
    return Reader(text, context).run();
}

}  // namespace memory::facts
