namespace Lab.SparseTraining.Corpora.Generated;

/// <summary>The words that generated programs name and speak of things with. No noun or adjective is a keyword or a builtin in use.</summary>
internal static class PythonWords
{
    public static readonly string[] Nouns = Words("""
        account action address agent alarm amount animal answer archive argument array article asset author backup badge
        balance bank basket batch beacon block board book border branch bridge browser bucket budget buffer bundle button
        byte cable cache calendar camera card cart catalog category cell channel chapter chart child city client clock cloud
        cluster code column command comment company component condition config connection contact content context cookie
        corner cost counter country course cursor customer cycle dashboard data date day delay depth detail device digit
        direction disk distance document domain door draft driver edge email employee engine entry error event example
        expression extension factor feature feed field figure file filename flag flight floor flow folder font forest form
        frame friend function game gate gateway goal graph grid group guest guide handle handler header height history hook
        host hotel hour house image index info instance invoice issue item job journal judge kernel key keyword label lamp
        layer leader leaf lesson letter level library limit line link loader location lock log machine margin marker market
        mask match matrix member memory menu message method metric minute mirror mode model module month mouse movie name
        network node note notice number offer office offset option order origin output owner package packet page paint panel
        paper parent part partner path patient pattern payment peer phone photo piece pipe pixel place plan planet plate
        player plugin point pointer policy pool port position post power prefix price printer probe process product profile
        project proxy pupil purchase query question queue radius rate ratio reader receipt record region register release
        report request resource response result reward river road robot role room root route row rule sample scale schedule
        schema school scope score screen script season secret section segment sensor sentence sequence series server service
        session setting shape sheet shelf ship shop signal size slot snapshot socket source speed stage star state station
        status step stock store story stream street student subject suffix summary symbol system table tag target task team
        template tenant term test text theme thread threshold ticket title token tool topic total track traffic train tree
        trigger unit update upload user value variable vector vehicle vendor version video view visitor volume voter wallet
        warning weight wheel width window word worker writer year zone
        """);

    public static readonly string[] Adjectives = Words("""
        active actual big blank blue broken bright cheap common complete corrupt current daily dark deep default double dry
        early empty exact extra fast final first fresh full future general global good green hidden high idle internal
        invalid large last late left little local long low main major manual minor missing narrow new nice normal old online
        original outer partial plain previous primary private public quick quiet random rare raw ready recent red remote
        right safe same secure short silent simple single slow small soft special stable stale steady strict strong total
        unique unknown upper useful valid warm weak wide wrong young
        """);

    /// <summary>What is done to a thing; no adjective is among them, so that no function shares a variable's name.</summary>
    public static readonly string[] Verbs = Words("""
        accept add adjust apply assign attach build cancel check choose collect combine compare compute convert copy count
        create debug decode delete describe detect draw drop encode enter export extract fetch fill filter find finish fix
        follow format gather get handle import include insert install join keep limit list load log lookup make mark measure
        merge move normalize notify open pack parse pick plot prepare print process publish pull push query read receive
        refresh register remove rename render repair replace report reset resize resolve restore run sample save scan
        schedule search select send serve show skip sort split start stop store submit sum swap test trace transform trim
        update upgrade validate verify visit wait walk watch wrap write
        """);

    /// <summary>What became of a thing.</summary>
    public static readonly string[] Outcomes = Words("""
        available broken cancelled changed closed complete connected copied created deleted done empty expired failed
        finished found full ignored invalid known loaded locked lost missing open ready rejected removed required running
        saved selected sent skipped started stopped supported unchanged updated used valid written
        """);

    /// <summary>Letters for short-lived numbers.</summary>
    public static readonly string[] Letters = ["i", "j", "k", "n", "x", "y"];

    /// <summary>Ends of file names.</summary>
    public static readonly string[] Extensions = ["txt", "csv", "json", "log", "ini", "dat", "xml", "md"];

    private static readonly HashSet<string> _doubling = [.. Words("drop get log plot run scan skip split stop swap trim wrap debug submit")];

    /// <summary>"write" as "writing".</summary>
    public static string Gerund(string verb)
    {
        if (verb is "debug" or "log") return verb + "ging";
        if (_doubling.Contains(verb)) return verb + verb[^1] + "ing";
        return (verb.EndsWith('e') ? verb[..^1] : verb) + "ing";
    }

    private static string[] Words(string words) => words.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
}
