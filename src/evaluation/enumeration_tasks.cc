// SPDX-License-Identifier: Apache-2.0
//
// The tasks' items, written for this. Open kinds (animals, sports) list what is usual: an item that is right but not
// here is not counted, the same for all who are compared.
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/enumeration.h"

namespace plait::evaluation {
namespace {

struct Row {
  std::string_view name;
  std::string_view question;
  std::size_t asked;
  std::string_view items;
};

constexpr std::array kRows{
    Row{"months", "List the months of the year.", 12,
        "January|Jan,February|Feb,March|Mar,April|Apr,May,June|Jun,July|Jul,August|Aug,September|Sep|Sept,October|Oct,"
        "November|Nov,December|Dec"},
    Row{"days", "List the days of the week.", 7,
        "Monday|Mon,Tuesday|Tue,Wednesday|Wed,Thursday|Thu,Friday|Fri,Saturday|Sat,Sunday|Sun"},
    Row{"numbers", "Write the numbers from one to twenty as words.", 20,
        "one,two,three,four,five,six,seven,eight,nine,ten,eleven,twelve,thirteen,fourteen,fifteen,sixteen,seventeen,"
        "eighteen,nineteen,twenty"},
    Row{"letters", "List the letters of the Greek alphabet by their names.", 24,
        "alpha,beta,gamma,delta,epsilon,zeta,eta,theta,iota,kappa,lambda,mu,nu,xi,omicron,pi,rho,sigma,tau,upsilon,phi,"
        "chi,psi,omega"},
    Row{"signs", "List the signs of the zodiac.", 12,
        "Aries,Taurus,Gemini,Cancer,Leo,Virgo,Libra,Scorpio,Sagittarius,Capricorn,Aquarius,Pisces"},
    Row{"planets", "List the planets of the solar system.", 8,
        "Mercury,Venus,Earth,Mars,Jupiter,Saturn,Uranus,Neptune"},
    Row{"continents", "List the continents.", 7,
        "Africa,Antarctica,Asia,Europe,North America,South America,Australia|Oceania"},
    Row{"countries of Europe", "Name 20 countries in Europe.", 20,
        "Albania,Andorra,Austria,Belarus,Belgium,Bosnia|Bosnia and Herzegovina|Herzegovina,Bulgaria,Croatia,Cyprus,"
        "Czech Republic|Czechia,Denmark,Estonia,Finland,France,Germany,Greece,Hungary,Iceland,Ireland,Italy,Kosovo,"
        "Latvia,Liechtenstein,Lithuania,Luxembourg,Malta,Moldova,Monaco,Montenegro,Netherlands|Holland,"
        "North Macedonia|Macedonia,Norway,Poland,Portugal,Romania,Russia,San Marino,Serbia,Slovakia,Slovenia,Spain,"
        "Sweden,Switzerland,Turkey,Ukraine,United Kingdom|UK|Great Britain|England|Scotland|Wales,Vatican City"},
    Row{"countries of Asia", "Name 15 countries in Asia.", 15,
        "Afghanistan,Armenia,Azerbaijan,Bahrain,Bangladesh,Bhutan,Brunei,Cambodia|Kampuchea,China,Georgia,India,"
        "Indonesia,Iran,Iraq,Israel,Japan,Jordan,Kazakhstan,Kuwait,Kyrgyzstan,Laos,Lebanon,Malaysia,Maldives,Mongolia,"
        "Myanmar|Burma,Nepal,North Korea,Oman,Pakistan,Palestine,Philippines,Qatar,Russia,Saudi Arabia,Singapore,"
        "South Korea|Korea,Sri Lanka,Syria,Taiwan,Tajikistan,Thailand,Timor-Leste|East Timor,Turkey,Turkmenistan,"
        "United Arab Emirates|UAE,Uzbekistan,Vietnam,Yemen"},
    Row{"colours", "Name 12 colours.", 12,
        "red,orange,yellow,green,blue,indigo,violet,purple,pink,brown,black,white,gray|grey,silver,gold,beige,"
        "turquoise,"
        "cyan,magenta,maroon,navy|navy blue,teal,lavender,lime|lime green,olive,coral,crimson,tan,cream,peach,burgundy,"
        "aqua,mint,scarlet,amber,bronze,copper,ivory,khaki,mauve,mustard,plum,rose,ruby,salmon,emerald,fuchsia,light "
        "blue,"
        "dark blue,dark green,light green,sky blue"},
    Row{"animals", "Name 20 animals.", 20,
        "dog,cat,cow,horse,pig,sheep,goat,chicken,duck,goose,turkey,rabbit,mouse|mice,rat,hamster,squirrel,lion,tiger,"
        "leopard,cheetah,jaguar,panther,bear|polar bear|grizzly bear|brown bear,panda|giant "
        "panda,wolf|wolves,fox|foxes,"
        "coyote,elephant|african elephant,giraffe,zebra,rhino|rhinoceros,hippo|hippopotamus,monkey,gorilla,"
        "chimpanzee|chimp,orangutan,lemur,kangaroo,koala,deer,moose,elk,antelope,bison,buffalo,camel,llama,donkey,"
        "whale,"
        "dolphin,shark,seal,sea lion,walrus,otter,beaver,penguin,eagle|bald eagle,owl,hawk,falcon,parrot,pigeon,crow,"
        "sparrow,swan,flamingo,peacock,ostrich,snake,lizard,turtle|sea turtle,tortoise,crocodile,alligator,frog,toad,"
        "salamander,fish,salmon,octopus,squid,crab,lobster,jellyfish,butterfly|butterflies,bee,ant,spider,hedgehog,"
        "skunk,raccoon,bat,badger,hyena,meerkat,sloth,armadillo,chameleon,lynx,cougar|puma|mountain lion,snow leopard,"
        "gazelle,wombat,platypus,mole,weasel,ferret,guinea pig,yak,reindeer|caribou"},
    Row{"fruits", "Name 15 kinds of fruit.", 15,
        "apple,banana,orange,pear,grape,strawberry|strawberries,blueberry|blueberries,raspberry|raspberries,"
        "blackberry|blackberries,cranberry|cranberries,cherry|cherries,peach|peaches,plum,apricot,nectarine,mango|"
        "mangoes,"
        "pineapple,papaya,kiwi|kiwifruit,lemon,lime,grapefruit,tangerine,mandarin,clementine,watermelon,melon,"
        "cantaloupe,"
        "honeydew,pomegranate,fig,date,coconut,guava,lychee,passion fruit|passionfruit,dragon fruit|dragonfruit,star "
        "fruit,"
        "avocado,tomato|tomatoes,persimmon,jackfruit,durian,gooseberry|gooseberries,mulberry|mulberries,kumquat,"
        "quince"},
    Row{"vegetables", "Name 15 kinds of vegetables.", 15,
        "carrot,potato|potatoes,sweet potato|sweet "
        "potatoes,tomato|tomatoes,onion,garlic,leek,cabbage,broccoli,cauliflower,"
        "spinach,kale,lettuce,celery,cucumber,zucchini|courgette,eggplant|aubergine,pepper|bell pepper,chili|chili "
        "pepper,"
        "pumpkin,squash,pea|green pea,bean|green bean,corn|sweet "
        "corn,asparagus,artichoke,beet|beetroot,radish|radishes,"
        "turnip,parsnip,rutabaga,brussels sprout,mushroom,okra,chard|swiss chard,arugula,bok choy,collard green,fennel,"
        "ginger,kohlrabi,yam,watercress,endive,avocado,shallot,scallion,parsley"},
    Row{"sports", "Name 15 sports.", 15,
        "football|american football,soccer,basketball,baseball,tennis,table tennis|ping pong,badminton,volleyball,"
        "beach volleyball,hockey|ice hockey|field hockey,cricket,rugby,golf,swimming,diving,water polo,rowing,sailing,"
        "surfing,skiing,snowboarding,skating|ice skating|figure skating,cycling,running,"
        "athletics|track and field|track,gymnastics,boxing,wrestling,judo,karate,taekwondo,fencing,archery,shooting,"
        "weightlifting,handball,softball,lacrosse,squash,bowling,billiards,horse riding|equestrian,climbing|rock "
        "climbing,"
        "skateboarding,triathlon,marathon,martial arts,curling,bobsled,canoeing,kayaking,polo,darts,motor "
        "racing|racing,"
        "hiking,fishing"},
    Row{"instruments", "Name 15 musical instruments.", 15,
        "piano,guitar|electric guitar|acoustic guitar,violin,viola,cello,double bass,bass|bass "
        "guitar,harp,flute,piccolo,"
        "clarinet,oboe,bassoon,saxophone|sax,trumpet,trombone,tuba,french horn|horn,drum|drum set|snare drum|bass drum,"
        "cymbal,xylophone,marimba,timpani,triangle,tambourine,maraca,organ,keyboard,synthesizer,accordion,harmonica,"
        "banjo,"
        "mandolin,ukulele,lute,sitar,bagpipe,recorder,harpsichord,bongo,conga,lyre,zither,glockenspiel,vibraphone,"
        "percussion,castanet,fiddle"},
    Row{"body", "Name 15 parts of the body.", 15,
        "head,hair,face,forehead,eye,eyebrow,eyelash|eyelashes,ear,nose,cheek,mouth,lip,tooth|teeth,tongue,chin,jaw,"
        "neck,"
        "throat,shoulder,arm,elbow,forearm,wrist,hand,finger,thumb,nail|fingernail,palm,chest,breast,back,spine,waist,"
        "stomach|belly|abdomen,hip,buttock,leg,thigh,knee,shin,calf|calves,ankle,foot|feet,heel,toe,skin,brain,heart,"
        "lung,"
        "liver,kidney,bone,muscle,blood,skull,rib,intestine,bladder,pancreas"},
    Row{"clothes", "Name 15 articles of clothing.", 15,
        "shirt|dress shirt,t-shirt|tshirt|tee,blouse,sweater|pullover|jumper,cardigan,hoodie,sweatshirt,jacket,coat,"
        "raincoat,vest,suit,dress|dresses,skirt,pants|trousers,jeans,short,legging,sock,stocking|tights,shoe,boot,"
        "sandal,"
        "sneaker,slipper,hat,cap,scarf|scarves,glove,mitten,belt,tie,bow "
        "tie,underwear,bra,pajama|pyjamas,swimsuit,robe,"
        "tank top,polo shirt,blazer,heel|high heel,beanie,tuxedo,gown,overall,jumpsuit,poncho"},
    Row{"professions", "Name 15 professions.", 15,
        "doctor|physician,nurse,dentist,surgeon,pharmacist,veterinarian,teacher,professor,lawyer|attorney,judge,"
        "police officer|policeman,firefighter|fireman,soldier,pilot,engineer|software engineer|civil "
        "engineer,architect,"
        "scientist,chemist,physicist,biologist,mathematician,programmer|software developer|developer,accountant,banker,"
        "economist,manager,secretary|secretaries,salesperson|salesman,cashier,cook|chef,baker,butcher,waiter|waitress,"
        "farmer,gardener,carpenter,electrician,plumber,mechanic,painter,artist,musician,singer,actor|actress,dancer,"
        "writer|"
        "author,journalist,photographer,designer|graphic designer,librarian,psychologist,therapist,social "
        "worker,driver|"
        "truck driver,tailor,barber|hairdresser,politician,entrepreneur,consultant,analyst|financial analyst,athlete,"
        "welder,paramedic,counselor,researcher,editor,translator"},
    Row{"languages", "Name 15 languages of the world.", 15,
        "English,Spanish,French,German,Italian,Portuguese,Dutch,Russian,Polish,Ukrainian,Czech,Slovak,Hungarian,"
        "Romanian,"
        "Bulgarian,Greek,Turkish,Arabic,Hebrew,Persian|Farsi,Hindi,Urdu,Bengali,Punjabi,Tamil,Telugu,Marathi,Gujarati,"
        "Chinese|Mandarin|Mandarin Chinese,Cantonese,Japanese,Korean,Vietnamese,Thai,Indonesian,Malay,Filipino|Tagalog,"
        "Swahili,Zulu,Xhosa,Afrikaans,Yoruba,Igbo,Hausa,Amharic,Swedish,Norwegian,Danish,Finnish,Icelandic,Irish|"
        "Gaelic,"
        "Welsh,Catalan,Basque,Latin,Sanskrit,Serbian,Croatian,Albanian,Lithuanian,Latvian,Estonian,Georgian,Armenian,"
        "Mongolian,Nepali,Sinhala,Burmese,Khmer,Lao,Somali,Maori,Hawaiian,Quechua,Kannada,Malayalam"},
    Row{"elements", "Name 20 chemical elements.", 20,
        "hydrogen,helium,lithium,beryllium,boron,carbon,nitrogen,oxygen,fluorine,neon,sodium,magnesium,aluminum|"
        "aluminium,"
        "silicon,phosphorus,sulfur|sulphur,chlorine,argon,potassium,calcium,scandium,titanium,vanadium,chromium,"
        "manganese,"
        "iron,cobalt,nickel,copper,zinc,gallium,germanium,arsenic,selenium,bromine,krypton,rubidium,strontium,yttrium,"
        "zirconium,niobium,molybdenum,technetium,ruthenium,rhodium,palladium,silver,cadmium,indium,tin,antimony,"
        "tellurium,"
        "iodine,xenon,cesium|caesium,barium,lanthanum,tungsten,platinum,gold,mercury,thallium,lead,bismuth,polonium,"
        "astatine,radon,radium,thorium,uranium,plutonium"}};

}  // namespace

const std::vector<EnumerationTask>& enumeration_tasks() {
  static const std::vector<EnumerationTask> tasks = [] {
    std::vector<EnumerationTask> all;
    for (const Row& row : kRows)
      all.emplace_back(std::string(row.name), std::string(row.question), row.asked, row.items);
    return all;
  }();
  return tasks;
}

}  // namespace plait::evaluation
